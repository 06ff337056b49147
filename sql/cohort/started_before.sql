-- cohort.started_before
-- Grain:   one row per entry of a person whose treatment started before time zero.
-- Reads:   cohort.entry_index, cohort.treatment_start
with

earlier as (

    select
        entry_index.index_id,
        entry_index.person_id,

    from cohort.entry_index

    inner join cohort.treatment_start
        on entry_index.person_id = treatment_start.person_id
        and treatment_start.has_started_before

)

select * from earlier
