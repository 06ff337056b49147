-- cohort.control_event
-- Grain:   one row per negative control, person and day with a record of it, or on which a span of
--          the cohort that is the control starts.
-- Reads:   clean.condition_occurrence, cohort.code_list, cohort.cohort
-- Params:  $control_lists (code list ids), $control_cohorts (cohort ids)
with

events as (

    select distinct
        code_list.code_list_id as control_id,
        condition_occurrence.person_id,
        condition_occurrence.condition_start_date as event_date,

    from clean.condition_occurrence

    inner join cohort.code_list
        on condition_occurrence.condition_concept_id = code_list.concept_id

    where list_contains($control_lists::varchar[], code_list.code_list_id)

    union all

    select distinct
        cohort.cohort_id as control_id,
        cohort.person_id,
        cohort.start_date as event_date,

    from cohort.cohort

    where list_contains($control_cohorts::varchar[], cohort.cohort_id)

)

select * from events
