-- mapped.condition_occurrence
-- Grain:   one row per Condition.
-- Kind:    view
-- Reads:   fhir.condition
with

dated as (

    select
        condition.*,
        coalesce(condition.onsetDateTime, condition.recordedDate) as started,

    from fhir.condition

),

mapped as (

    select
        fhir_id(dated.id) as condition_occurrence_id,
        fhir_id(fhir_reference(dated.subject, 'Patient')) as person_id,
        fhir_concept(dated.code) as condition_concept_id,
        dated.started as condition_start_date,
        fhir_time(dated.started) as condition_start_datetime,
        dated.abatementDateTime as condition_end_date,
        fhir_time(dated.abatementDateTime) as condition_end_datetime,
        32817 as condition_type_concept_id,
        fhir_id(fhir_reference(dated.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_source(dated.code) as condition_source_value,
        dated.verificationStatus.text as condition_status_source_value,
        dated._row,

    from dated

)

select * from mapped
