-- cohort.treatment_start
-- Grain:   one row per person who enters: time zero, and the first start of treatment from then on.
-- Reads:   cohort.cohort
-- Params:  $entry_cohort, $treatment_cohort (cohort ids)
-- Notes:   a person enters on the first span of the entry cohort, the one that ends last where
--          several start that day. `start_day` counts from time zero: 0 is that day, empty where
--          treatment never starts. `has_started_before`: a span of the treatment starts earlier.
with

entries as (

    select
        cohort.person_id,
        cohort.start_date as entry_start_date,
        cohort.end_date as entry_end_date,

    from cohort.cohort

    where cohort.cohort_id = $entry_cohort

    qualify row_number() over (
        partition by cohort.person_id order by cohort.start_date, cohort.end_date desc
    ) = 1

),

treatments as (

    select
        cohort.person_id,
        cohort.start_date,

    from cohort.cohort

    where cohort.cohort_id = $treatment_cohort

),

started as (

    select
        entries.person_id,
        entries.entry_start_date,
        entries.entry_end_date,
        min(treatments.start_date) filter (
            where treatments.start_date >= entries.entry_start_date
        ) - entries.entry_start_date as start_day,
        coalesce(min(treatments.start_date) < entries.entry_start_date, false)
            as has_started_before,

    from entries

    left join treatments
        on entries.person_id = treatments.person_id

    group by entries.person_id, entries.entry_start_date, entries.entry_end_date

    order by entries.person_id

)

select * from started
