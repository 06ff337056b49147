-- mapped.person
-- Grain:   one row per Patient.
-- Kind:    view
-- Reads:   fhir.patient, fhir.delivery
-- Notes:   only the year of birth is kept unless the delivery promises birth dates to the day.
with

born as (

    select
        patient.*,
        delivery.birth_precision = 'day' as is_known_to_the_day,
        regexp_full_match(patient.birthDate, '[0-9]{4}(-[0-9]{2}){0,2}') as is_date,
        string_split(patient.birthDate, '-') as parts,

    from fhir.patient

    cross join fhir.delivery
),

mapped as (

    select
        fhir_id(born.id) as person_id,
        case born.gender when 'male' then 8507 when 'female' then 8532 else 0 end
            as gender_concept_id,
        case when born.is_date then born.parts[1] else born.birthDate end as year_of_birth,
        case when born.is_date and born.is_known_to_the_day then born.parts[2] end
            as month_of_birth,
        case when born.is_date and born.is_known_to_the_day then born.parts[3] end as day_of_birth,
        case when born.is_known_to_the_day and len(born.parts) = 3 then born.birthDate end
            as birth_datetime,
        0 as race_concept_id,
        0 as ethnicity_concept_id,
        born.identifier[1].value as person_source_value,
        born.gender as gender_source_value,
        born._row,

    from born

)

select * from mapped
