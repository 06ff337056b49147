-- clean.drug_era
-- Grain:   one row per era: a stretch of exposure to one ingredient.
-- Kind:    view
-- Reads:   raw.drug_era, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        drug_era.drug_concept_id,
        drug_era.drug_era_start_date,
        drug_era.drug_era_end_date,

    from raw.drug_era

    inner join clean.person_key
        on drug_era.site_id = person_key.site_id
        and drug_era.person_id = person_key.source_person_id

)

select * from keyed
