-- clean.person_key
-- Grain:   one row per person of the snapshot.
-- Reads:   raw.person
-- Notes:   the one place where source ids meet the study's own; stays in the restricted store.
with

numbered as (

    select
        row_number() over (order by person.site_id, person.person_id) as person_id,
        person.site_id,
        person.person_id as source_person_id,

    from raw.person

)

select * from numbered
