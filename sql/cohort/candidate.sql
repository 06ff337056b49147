-- cohort.candidate
-- Grain:   one row per person and arm entered: the days that matter, and the steps that it fails.
-- Reads:   cohort.entry, cohort.entry_index, cohort.common_period, cohort.outcome_event,
--          cohort.censor_event, cohort.failed_rule, clean.death
-- Params:  $steps (ids of the steps of the attrition, in order),
--          $common_period, $keep_first (booleans),
--          $prior_observation_days, $prior_outcome_days (days),
--          $risk_start_anchor, $risk_end_anchor (entry_start | entry_end),
--          $risk_start_offset_days, $risk_end_offset_days (days)
-- Notes:   `failed` are all steps that a person fails, `lost_at` is the first of them; both empty
--          of content in persons of the study. The look-back for the outcome ends where risk
--          starts, so that an outcome between time zero and risk counts as prior; who died or was
--          censored before risk starts has no time at risk. A censoring event counts from the day
--          after time zero on.
with

windows as (

    select
        entry.person_id,
        entry.arm,
        entry.entry_start_date as time_zero_date,
        greatest(
            case when $risk_start_anchor = 'entry_start' then entry.entry_start_date
                else entry.entry_end_date end
            + $risk_start_offset_days::integer,
            entry.entry_start_date
        ) as risk_start_date,
        case when $risk_end_anchor = 'entry_start' then entry.entry_start_date
            else entry.entry_end_date end
        + $risk_end_offset_days::integer as planned_end_date,
        count(*) over (partition by entry.person_id) as n_arms,
        row_number() over (
            partition by entry.person_id order by entry.entry_start_date, entry.arm
        ) as arm_order,
        count(*) over (partition by entry.person_id, entry.entry_start_date) as n_same_day,

    from cohort.entry

),

outcome_before as (

    select distinct
        windows.person_id,
        windows.arm,

    from windows

    inner join cohort.outcome_event
        on windows.person_id = outcome_event.person_id
        and outcome_event.event_date
            between windows.time_zero_date - $prior_outcome_days::integer
            and windows.risk_start_date - 1

),

censored as (

    select
        windows.person_id,
        windows.arm,
        min(censor_event.event_date) as censor_date,

    from windows

    inner join cohort.censor_event
        on windows.person_id = censor_event.person_id
        and censor_event.event_date > windows.time_zero_date

    group by windows.person_id, windows.arm

),

rules as (

    select
        failed_rule.person_id,
        failed_rule.arm,
        list(failed_rule.step_id order by failed_rule.step_id) as failed,

    from cohort.failed_rule

    group by failed_rule.person_id, failed_rule.arm

),

dead_before as (

    select distinct
        windows.person_id,
        windows.arm,

    from windows

    inner join clean.death
        on windows.person_id = death.person_id
        and death.death_date < windows.risk_start_date

),

ends as (

    select
        windows.person_id,
        windows.arm,
        entry_index.observed_from,
        entry_index.observed_to,
        least(windows.planned_end_date, entry_index.observed_to, censored.censor_date)
            as risk_end_date,

    from windows

    inner join cohort.entry_index
        on windows.person_id = entry_index.person_id
        and windows.arm = entry_index.arm

    left join censored
        on windows.person_id = censored.person_id
        and windows.arm = censored.arm

),

judged as (

    select
        windows.person_id,
        windows.arm,
        windows.time_zero_date,
        windows.risk_start_date,
        ends.risk_end_date,
        {
            'in_observation': ends.observed_from is not null,
            'in_one_arm': windows.n_arms = 1
            or ($keep_first and windows.arm_order = 1 and windows.n_same_day = 1),
            'in_common_period': not $common_period
            or windows.time_zero_date
                between common_period.common_start_date and common_period.common_end_date,
            'has_prior_observation': coalesce(
                windows.time_zero_date - ends.observed_from >= $prior_observation_days::integer,
                false
            ),
            'has_no_prior_outcome': outcome_before.person_id is null,
            'has_time_at_risk': dead_before.person_id is null
            and ends.observed_from is not null
            and ends.risk_end_date >= windows.risk_start_date,
        } as passed,
        coalesce(rules.failed, []) as failed_rules,

    from windows

    cross join cohort.common_period

    inner join ends
        on windows.person_id = ends.person_id
        and windows.arm = ends.arm

    left join outcome_before
        on windows.person_id = outcome_before.person_id
        and windows.arm = outcome_before.arm

    left join dead_before
        on windows.person_id = dead_before.person_id
        and windows.arm = dead_before.arm

    left join rules
        on windows.person_id = rules.person_id
        and windows.arm = rules.arm

),

listed as (

    select
        judged.* exclude (passed, failed_rules),
        list_filter(
            [
                case when not judged.passed.in_observation then 'in_observation' end,
                case when not judged.passed.in_one_arm then 'in_one_arm' end,
                case when not judged.passed.in_common_period then 'in_common_period' end,
                case when not judged.passed.has_prior_observation
                    then 'has_prior_observation' end,
                case when not judged.passed.has_no_prior_outcome then 'has_no_prior_outcome' end,
                case when not judged.passed.has_time_at_risk then 'has_time_at_risk' end,
            ],
            lambda step : step is not null
        )
        || judged.failed_rules as failed,

    from judged

),

placed as (

    select
        listed.*,
        list_filter($steps::varchar[], lambda step : list_contains(listed.failed, step))[1]
            as lost_at,

    from listed

)

select * from placed
