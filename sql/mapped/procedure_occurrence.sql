-- mapped.procedure_occurrence
-- Grain:   one row per Procedure.
-- Kind:    view
-- Reads:   fhir.procedure
with

dated as (

    select
        procedure.*,
        coalesce(procedure.performedDateTime, procedure.performedPeriod.start) as performed,

    from fhir.procedure

),

mapped as (

    select
        fhir_id(dated.id) as procedure_occurrence_id,
        fhir_id(fhir_reference(dated.subject, 'Patient')) as person_id,
        fhir_concept(dated.code) as procedure_concept_id,
        dated.performed as procedure_date,
        fhir_time(dated.performed) as procedure_datetime,
        32817 as procedure_type_concept_id,
        fhir_id(fhir_reference(dated.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_source(dated.code) as procedure_source_value,
        dated._row,

    from dated

)

select * from mapped
