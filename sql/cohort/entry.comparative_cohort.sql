-- cohort.entry
-- Grain:   one row per person and arm: the first span of the person in the cohort of the arm.
-- Reads:   cohort.cohort
-- Params:  $target, $comparator (arm ids), $target_cohort, $comparator_cohort (cohort ids)
-- Notes:   where several spans start on that first day, the one that ends last is taken.
with

arms as (

    select
        unnest([$target, $comparator]) as arm,
        unnest([$target_cohort, $comparator_cohort]) as cohort_id,

),

spans as (

    select
        cohort.person_id,
        arms.arm,
        cohort.start_date as entry_start_date,
        cohort.end_date as entry_end_date,

    from cohort.cohort

    inner join arms
        on cohort.cohort_id = arms.cohort_id

),

first_spans as (

    select spans.*,

    from spans

    qualify row_number() over (
        partition by spans.person_id, spans.arm
        order by spans.entry_start_date, spans.entry_end_date desc
    ) = 1

)

select * from first_spans
