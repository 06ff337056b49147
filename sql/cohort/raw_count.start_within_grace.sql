-- cohort.raw_count
-- Grain:   one row per strategy: the spans of the entry cohort, and the persons that have one.
-- Reads:   cohort.cohort
-- Params:  $target, $comparator (ids of the strategies), $entry_cohort (cohort id)
-- Notes:   what a person does in the grace period is known only later, so both have the same
--          numbers. How persons came into the cohort stands in cohort.cohort_attrition.
with

arms as (

    select unnest([$target, $comparator]) as arm,

),

counted as (

    select
        arms.arm,
        'in_cohort' as step_id,
        count(cohort.person_id) as records,
        count(distinct cohort.person_id) as persons,

    from arms

    left join cohort.cohort
        on cohort.cohort_id = $entry_cohort

    group by arms.arm

)

select * from counted
