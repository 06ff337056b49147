-- clean.procedure_occurrence
-- Grain:   one row per recorded procedure.
-- Kind:    view
-- Reads:   raw.procedure_occurrence, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        procedure_occurrence.procedure_occurrence_id,
        procedure_occurrence.procedure_concept_id,
        procedure_occurrence.procedure_date,
        procedure_occurrence.procedure_datetime,
        procedure_occurrence.visit_occurrence_id,

    from raw.procedure_occurrence

    inner join clean.person_key
        on procedure_occurrence.site_id = person_key.site_id
        and procedure_occurrence.person_id = person_key.source_person_id

)

select * from keyed
