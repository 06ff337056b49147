-- cohort.entry
-- Grain:   one row per person: time zero, and what the person then does in the grace period.
-- Reads:   cohort.treatment_start
-- Params:  $target, $comparator (ids of the strategies), $grace_period_days (days)
-- Notes:   the arm is what was seen, for counts and descriptions alone: at time zero everybody is
--          eligible for both strategies, and only clones are compared.
with

entries as (

    select
        treatment_start.person_id,
        case when treatment_start.start_day <= $grace_period_days::integer then $target
            else $comparator end as arm,
        treatment_start.entry_start_date,
        treatment_start.entry_end_date,

    from cohort.treatment_start

)

select * from entries
