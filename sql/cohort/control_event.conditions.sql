-- cohort.control_event
-- Grain:   one row per negative control, person and day with a record of it.
-- Reads:   clean.condition_occurrence, cohort.code_list
-- Params:  $control_lists (code list ids)
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

)

select * from events
