-- cohort.outcome_event
-- Grain:   one row per person and day with a record of the outcome.
-- Reads:   clean.condition_occurrence, cohort.code_list
-- Params:  $outcome (code list id)
with

events as (

    select distinct
        condition_occurrence.person_id,
        condition_occurrence.condition_start_date as event_date,

    from clean.condition_occurrence

    inner join cohort.code_list
        on condition_occurrence.condition_concept_id = code_list.concept_id
        and code_list.code_list_id = $outcome

)

select * from events
