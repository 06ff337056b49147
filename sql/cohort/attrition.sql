-- cohort.attrition
-- Grain:   one row per arm and step: who is left after it, and whom it dropped.
-- Reads:   cohort.candidate, cohort.raw_count
-- Params:  $target, $comparator (arm ids), $raw_steps (ids of the steps before anyone enters),
--          $steps (ids of the steps from the entry on), $is_split_by_entry (boolean: the entry
--          sorts persons into arms, so that nobody is dropped there)
-- Notes:   a person is dropped at the first step that it fails, in this order. `records` is empty
--          from the entry on, where each person has one.
with

arms as (

    select
        unnest([$target, $comparator]) as arm,
        unnest([1, 2]) as arm_order,

),

steps as (

    select
        unnest($steps::varchar[]) as step_id,
        unnest(range(len($steps::varchar[])))::integer as step,

),

numbered as (

    select
        candidate.arm,
        steps.step as lost_at,

    from cohort.candidate

    left join steps
        on candidate.lost_at = steps.step_id

),

entered as (

    select
        arms.arm,
        steps.step + len($raw_steps::varchar[]) as step,
        steps.step_id,
        null::bigint as records,
        count(numbered.arm) filter (
            where coalesce(numbered.lost_at > steps.step, true)
        ) as remaining,

    from arms

    cross join steps

    left join numbered
        on arms.arm = numbered.arm

    group by arms.arm, steps.step, steps.step_id

),

raw_steps as (

    select
        unnest($raw_steps::varchar[]) as step_id,
        unnest(range(len($raw_steps::varchar[])))::integer as step,

),

before as (

    select
        raw_count.arm,
        raw_steps.step,
        raw_steps.step_id,
        raw_count.records,
        raw_count.persons as remaining,

    from cohort.raw_count

    inner join raw_steps
        on raw_count.step_id = raw_steps.step_id

),

everything as (

    select * from before
    union all
    select * from entered

),

counted as (

    select
        everything.arm,
        arms.arm_order,
        everything.step,
        everything.step_id,
        everything.records,
        everything.remaining,
        case
            when not ($is_split_by_entry and everything.step = len($raw_steps::varchar[]))
                then coalesce(
                    lag(everything.remaining) over (
                        partition by everything.arm order by everything.step
                    ) - everything.remaining,
                    0
                )
        end as excluded,

    from everything

    inner join arms
        on everything.arm = arms.arm

    order by arms.arm_order, everything.step

)

select * from counted
