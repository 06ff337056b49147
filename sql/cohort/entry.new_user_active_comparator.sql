-- cohort.entry
-- Grain:   one row per person and arm: the days between which the person was in the arm first.
-- Reads:   cohort.first_era
-- Notes:   the first drug era of an arm is the entry into it.
with

entries as (

    select
        first_era.person_id,
        first_era.arm,
        first_era.era_start_date as entry_start_date,
        first_era.era_end_date as entry_end_date,

    from cohort.first_era

)

select * from entries
