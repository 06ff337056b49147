-- cohort.observed_stretch
-- Grain:   one row per stretch of observation of a person, under the names of the CDM.
-- Reads:   cohort.observed, clean.observation_period
-- Notes:   circepy would count an event once in each of several periods that overlap.
with

stretches as (

    select
        observed.person_id,
        min(observation_period.observation_period_id) as observation_period_id,
        observed.observed_from as observation_period_start_date,
        observed.observed_to as observation_period_end_date,
        min(observation_period.period_type_concept_id) as period_type_concept_id,

    from cohort.observed

    inner join clean.observation_period
        on observed.person_id = observation_period.person_id
        and observation_period.observation_period_start_date
            between observed.observed_from and observed.observed_to

    group by observed.person_id, observed.observed_from, observed.observed_to

)

select * from stretches
