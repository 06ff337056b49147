-- cohort.attrition
-- Grain:   one row per arm and step: who is left after it, and whom it dropped.
-- Reads:   cohort.candidate
-- Params:  $target, $comparator (code list ids)
-- Notes:   a person is dropped at the first rule that fails, in this order.
with

judged as (

    select
        candidate.arm,
        case
            when not candidate.in_observation then 1
            when not candidate.in_one_arm then 2
            when not candidate.in_common_period then 3
            when not candidate.has_prior_observation then 4
            when not candidate.has_no_prior_outcome then 5
            when not candidate.has_time_at_risk then 6
            else 99
        end as lost_at,

    from cohort.candidate

),

steps as (

    select
        unnest([$target, $comparator]) as arm,
        unnest([1, 2]) as arm_order,

),

grid as (

    select
        steps.arm,
        steps.arm_order,
        step.step,
        step.step_id,

    from steps

    cross join (
        values
            (0, 'first_era'),
            (1, 'in_observation'),
            (2, 'in_one_arm'),
            (3, 'in_common_period'),
            (4, 'has_prior_observation'),
            (5, 'has_no_prior_outcome'),
            (6, 'has_time_at_risk')
    ) as step (step, step_id)

),

counted as (

    select
        grid.arm,
        grid.arm_order,
        grid.step,
        grid.step_id,
        count(judged.arm) filter (where judged.lost_at > grid.step) as remaining,
        count(judged.arm) filter (where judged.lost_at = grid.step) as excluded,

    from grid

    left join judged
        on grid.arm = judged.arm

    group by grid.arm, grid.arm_order, grid.step, grid.step_id

    order by grid.arm_order, grid.step

)

select * from counted
