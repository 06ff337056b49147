-- cohort.arm_rule_mask
-- Grain:   one row per person and arm entered: which steps of the attrition were passed.
-- Reads:   cohort.candidate
-- Params:  $steps (ids of the steps from the entry on, in order)
-- Notes:   bit i of `mask` (from 0) is set where step i was passed; the entry itself is bit 0.
with

steps as (

    select
        unnest($steps::varchar[]) as step_id,
        unnest(range(len($steps::varchar[]))) as bit,

),

passed as (

    select
        candidate.arm as cohort_id,
        candidate.person_id,
        sum(1::hugeint << steps.bit::integer) as mask,

    from cohort.candidate

    cross join steps

    where not list_contains(candidate.failed, steps.step_id)

    group by candidate.arm, candidate.person_id

    order by candidate.arm, candidate.person_id

)

select * from passed
