-- clean.death
-- Grain:   one row per death.
-- Kind:    view
-- Reads:   raw.death, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        death.death_date,

    from raw.death

    inner join clean.person_key
        on death.site_id = person_key.site_id
        and death.person_id = person_key.source_person_id

)

select * from keyed
