-- clean.person
-- Grain:   one row per person.
-- Kind:    view
-- Reads:   raw.person, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        person_key.site_id,
        person.gender_concept_id,
        person.year_of_birth,

    from raw.person

    inner join clean.person_key
        on person.site_id = person_key.site_id
        and person.person_id = person_key.source_person_id

)

select * from keyed
