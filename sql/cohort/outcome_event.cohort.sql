-- cohort.outcome_event
-- Grain:   one row per person of the cohort that is the outcome: the day its first span starts.
-- Reads:   cohort.cohort
-- Params:  $outcome (cohort id)
with

events as (

    select
        cohort.person_id,
        min(cohort.start_date) as event_date,

    from cohort.cohort

    where cohort.cohort_id = $outcome

    group by cohort.person_id

)

select * from events
