-- cohort.attrition
-- Grain:   one row per arm and step: who is left after it, and whom it dropped.
-- Reads:   cohort.candidate
-- Params:  $target, $comparator (arm ids), $steps (ids of the design's steps, in order: how people
--          enter, then columns of cohort.candidate)
-- Notes:   a person is dropped at the first rule that fails, in this order.
with

judged as (

    select
        candidate.arm,
        case
            when not candidate.in_observation then 'in_observation'
            when not candidate.in_one_arm then 'in_one_arm'
            when not candidate.in_common_period then 'in_common_period'
            when not candidate.has_prior_observation then 'has_prior_observation'
            when not candidate.has_no_prior_outcome then 'has_no_prior_outcome'
            when not candidate.has_time_at_risk then 'has_time_at_risk'
        end as lost_at,

    from cohort.candidate

),

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
        judged.arm,
        steps.step as lost_at,

    from judged

    left join steps
        on judged.lost_at = steps.step_id

),

grid as (

    select
        arms.arm,
        arms.arm_order,
        steps.step,
        steps.step_id,

    from arms

    cross join steps

),

counted as (

    select
        grid.arm,
        grid.arm_order,
        grid.step,
        grid.step_id,
        count(numbered.arm) filter (
            where coalesce(numbered.lost_at > grid.step, true)
        ) as remaining,
        count(numbered.arm) filter (where numbered.lost_at = grid.step) as excluded,

    from grid

    left join numbered
        on grid.arm = numbered.arm

    group by grid.arm, grid.arm_order, grid.step, grid.step_id

    order by grid.arm_order, grid.step

)

select * from counted
