-- cohort.entry
-- Grain:   one row per person and arm: the first span of the person in the cohort of the arm.
-- Reads:   cohort.cohort
-- Params:  $target, $comparator (cohort ids)
-- Notes:   where several spans start on that first day, the one that ends last is taken.
with

spans as (

    select
        cohort.person_id,
        cohort.cohort_id as arm,
        cohort.start_date as entry_start_date,
        cohort.end_date as entry_end_date,

    from cohort.cohort

    where cohort.cohort_id in ($target, $comparator)

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
