-- cohort.entry_index
-- Grain:   one row per person and arm entered, numbered: the index that conditions are judged on.
-- Reads:   cohort.entry, cohort.observed
-- Notes:   `observed_from` and `observed_to` are the stretch of observation around time zero, empty
--          where there is none. An entry is of no visit.
with

numbered as (

    select
        row_number() over (order by entry.person_id, entry.arm) as index_id,
        entry.person_id,
        entry.arm,
        entry.entry_start_date as start_date,
        entry.entry_end_date as end_date,
        null::bigint as visit_occurrence_id,
        observed.observed_from,
        observed.observed_to,

    from cohort.entry

    left join cohort.observed
        on entry.person_id = observed.person_id
        and entry.entry_start_date between observed.observed_from and observed.observed_to

)

select * from numbered
