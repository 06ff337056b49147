-- cohort.failed_rule
-- Grain:   one row per entry and rule of eligibility that it does not pass.
-- Reads:   cohort.entry_index, cohort.rule_met
-- Params:  $rule_ids, $is_required (lists of one length, in the order of the study)
-- Notes:   cohort.rule_met holds the entries whose condition is met: a rule that requires it drops
--          the others, a rule that excludes drops these.
with

rules as (

    select
        unnest($rule_ids::varchar[]) as step_id,
        unnest($is_required::boolean[]) as is_required,

),

judged as (

    select
        entry_index.index_id,
        entry_index.person_id,
        entry_index.arm,
        rules.step_id,
        (rule_met.index_id is not null) = rules.is_required as is_passed,

    from cohort.entry_index

    cross join rules

    left join cohort.rule_met
        on entry_index.index_id = rule_met.index_id
        and rules.step_id = rule_met.rule_id

),

failed as (

    select
        judged.index_id,
        judged.person_id,
        judged.arm,
        judged.step_id,

    from judged

    where not judged.is_passed

)

select * from failed
