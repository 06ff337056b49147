-- cohort.common_period
-- Grain:   one row: the calendar days between which both arms have entries.
-- Reads:   cohort.entry
-- Notes:   taken from all entries, before any join to observation periods: a person who is
--          lost later still shows that the arm was in use.
with

by_arm as (

    select
        entry.arm,
        min(entry.entry_start_date) as first_start_date,
        max(entry.entry_start_date) as last_start_date,

    from cohort.entry

    group by entry.arm

),

common as (

    select
        max(by_arm.first_start_date) as common_start_date,
        min(by_arm.last_start_date) as common_end_date,

    from by_arm

)

select * from common
