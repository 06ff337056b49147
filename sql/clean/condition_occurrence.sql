-- clean.condition_occurrence
-- Grain:   one row per recorded condition.
-- Kind:    view
-- Reads:   raw.condition_occurrence, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        condition_occurrence.condition_concept_id,
        condition_occurrence.condition_start_date,

    from raw.condition_occurrence

    inner join clean.person_key
        on condition_occurrence.site_id = person_key.site_id
        and condition_occurrence.person_id = person_key.source_person_id

)

select * from keyed
