-- mapped.visit_occurrence
-- Grain:   one row per Encounter.
-- Kind:    view
-- Reads:   fhir.encounter
with

mapped as (

    select
        fhir_id(encounter.id) as visit_occurrence_id,
        fhir_id(fhir_reference(encounter.subject, 'Patient')) as person_id,
        case encounter.class.code
            when 'AMB' then 9202
            when 'EMER' then 9203
            when 'IMP' then 9201
            else 0
        end as visit_concept_id,
        encounter.period.start as visit_start_date,
        fhir_time(encounter.period.start) as visit_start_datetime,
        encounter.period.end as visit_end_date,
        fhir_time(encounter.period.end) as visit_end_datetime,
        32817 as visit_type_concept_id,
        encounter.class.code as visit_source_value,
        encounter.hospitalization.admitSource.text as admitted_from_source_value,
        encounter._row,

    from fhir.encounter

)

select * from mapped
