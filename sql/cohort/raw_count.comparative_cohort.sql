-- cohort.raw_count
-- Grain:   one row per arm: the spans of its cohort, and the persons that have one.
-- Reads:   cohort.cohort
-- Params:  $target, $comparator (arm ids), $target_cohort, $comparator_cohort (cohort ids)
-- Notes:   how persons came into the cohort stands in cohort.cohort_attrition.
with

arms as (

    select
        unnest([$target, $comparator]) as arm,
        unnest([$target_cohort, $comparator_cohort]) as cohort_id,

),

counted as (

    select
        arms.arm,
        'in_cohort' as step_id,
        count(cohort.person_id) as records,
        count(distinct cohort.person_id) as persons,

    from arms

    left join cohort.cohort
        on arms.cohort_id = cohort.cohort_id

    group by arms.arm

)

select * from counted
