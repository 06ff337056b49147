-- cohort.common_period
-- Grain:   one row: the calendar days between which both arms have first eras.
-- Reads:   cohort.first_era
-- Notes:   taken from all first eras, before any join to observation periods: a person who is
--          lost later still shows that the drug was in use.
with

by_arm as (

    select
        first_era.arm,
        min(first_era.era_start_date) as first_start_date,
        max(first_era.era_start_date) as last_start_date,

    from cohort.first_era

    group by first_era.arm

),

common as (

    select
        max(by_arm.first_start_date) as common_start_date,
        min(by_arm.last_start_date) as common_end_date,

    from by_arm

)

select * from common
