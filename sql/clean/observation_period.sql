-- clean.observation_period
-- Grain:   one row per period in which a person's events are recorded.
-- Kind:    view
-- Reads:   raw.observation_period, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        observation_period.observation_period_start_date,
        observation_period.observation_period_end_date,

    from raw.observation_period

    inner join clean.person_key
        on observation_period.site_id = person_key.site_id
        and observation_period.person_id = person_key.source_person_id

)

select * from keyed
