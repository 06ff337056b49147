-- cohort.entry_index
-- Grain:   one row per person and arm entered, numbered: the index that conditions are judged on.
-- Reads:   cohort.entry, clean.observation_period
-- Notes:   `observed_from` and `observed_to` are the period of observation around time zero (all
--          periods that hold it, taken together), empty where there is none. An entry is of no
--          visit.
with

observed as (

    select
        entry.person_id,
        entry.arm,
        min(observation_period.observation_period_start_date) as observed_from,
        max(observation_period.observation_period_end_date) as observed_to,

    from cohort.entry

    inner join clean.observation_period
        on entry.person_id = observation_period.person_id
        and entry.entry_start_date
            between observation_period.observation_period_start_date
            and observation_period.observation_period_end_date

    group by entry.person_id, entry.arm

),

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

    left join observed
        on entry.person_id = observed.person_id
        and entry.arm = observed.arm

)

select * from numbered
