-- cohort.outcome_event
-- Grain:   one row per span of the cohort that is the outcome: the day on which it starts.
-- Reads:   cohort.cohort
-- Params:  $outcome (cohort id)
with

events as (

    select
        cohort.person_id,
        cohort.start_date as event_date,

    from cohort.cohort

    where cohort.cohort_id = $outcome

)

select * from events
