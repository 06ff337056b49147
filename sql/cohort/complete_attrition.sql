-- cohort.complete_attrition
-- Grain:   one row per arm and step, the step missing_covariates after those of the design.
-- Reads:   cohort.attrition, cohort.complete_subject
with

last_steps as (

    select
        attrition.arm,
        max(attrition.step) as step,
        arg_max(attrition.remaining, attrition.step) as remaining,
        any_value(attrition.arm_order) as arm_order,

    from cohort.attrition

    group by attrition.arm

),

complete as (

    select
        complete_subject.arm,
        count(*) as remaining,

    from cohort.complete_subject

    group by complete_subject.arm

),

steps as (

    select
        attrition.arm,
        attrition.arm_order,
        attrition.step,
        attrition.step_id,
        attrition.remaining,
        attrition.excluded,

    from cohort.attrition

    union all

    select
        last_steps.arm,
        last_steps.arm_order,
        last_steps.step + 1 as step,
        'missing_covariates' as step_id,
        coalesce(complete.remaining, 0) as remaining,
        last_steps.remaining - coalesce(complete.remaining, 0) as excluded,

    from last_steps

    left join complete
        on last_steps.arm = complete.arm

    order by arm_order, step

)

select * from steps
