-- mapped.death
-- Grain:   one row per Patient with a time of death.
-- Kind:    view
-- Reads:   fhir.patient
-- Notes:   a Patient of whom only deceasedBoolean is known has no row: a death needs its date.
with

mapped as (

    select
        fhir_id(patient.id) as person_id,
        patient.deceasedDateTime as death_date,
        fhir_time(patient.deceasedDateTime) as death_datetime,
        32817 as death_type_concept_id,
        patient._row,

    from fhir.patient

    where patient.deceasedDateTime is not null

)

select * from mapped
