-- cohort.candidate
-- Grain:   one row per person and arm entered; each rule is a column, true when passed.
-- Reads:   cohort.entry, cohort.common_period, cohort.code_list, clean.observation_period,
--          clean.condition_occurrence, clean.death
-- Params:  $outcome (code list id), $common_period, $keep_first (booleans),
--          $prior_observation_days, $prior_outcome_days (days),
--          $risk_start_anchor, $risk_end_anchor (entry_start | entry_end),
--          $risk_start_offset_days, $risk_end_offset_days (days)
-- Notes:   the look-back for the outcome ends where risk starts, so that an outcome between time
--          zero and risk counts as prior; who died before risk starts has no time at risk.
with

observed as (

    select
        entry.person_id,
        entry.arm,
        min(observation_period.observation_period_start_date) as observation_start_date,
        max(observation_period.observation_period_end_date) as observation_end_date,

    from cohort.entry

    inner join clean.observation_period
        on entry.person_id = observation_period.person_id
        and entry.entry_start_date
            between observation_period.observation_period_start_date
            and observation_period.observation_period_end_date

    group by entry.person_id, entry.arm

),

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

    inner join clean.condition_occurrence
        on windows.person_id = condition_occurrence.person_id
        and condition_occurrence.condition_start_date
            between windows.time_zero_date - $prior_outcome_days::integer
            and windows.risk_start_date - 1

    inner join cohort.code_list
        on condition_occurrence.condition_concept_id = code_list.concept_id
        and code_list.code_list_id = $outcome

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

judged as (

    select
        windows.person_id,
        windows.arm,
        windows.time_zero_date,
        windows.risk_start_date,
        observed.observation_start_date,
        observed.observation_end_date,
        least(windows.planned_end_date, observed.observation_end_date) as risk_end_date,
        observed.person_id is not null as in_observation,
        windows.n_arms = 1
        or ($keep_first and windows.arm_order = 1 and windows.n_same_day = 1) as in_one_arm,
        not $common_period
        or windows.time_zero_date
            between common_period.common_start_date and common_period.common_end_date
            as in_common_period,
        coalesce(
            windows.time_zero_date - observed.observation_start_date
            >= $prior_observation_days::integer,
            false
        ) as has_prior_observation,
        outcome_before.person_id is null as has_no_prior_outcome,
        dead_before.person_id is null
        and coalesce(
            least(windows.planned_end_date, observed.observation_end_date)
            >= windows.risk_start_date,
            false
        ) as has_time_at_risk,

    from windows

    cross join cohort.common_period

    left join observed
        on windows.person_id = observed.person_id
        and windows.arm = observed.arm

    left join outcome_before
        on windows.person_id = outcome_before.person_id
        and windows.arm = outcome_before.arm

    left join dead_before
        on windows.person_id = dead_before.person_id
        and windows.arm = dead_before.arm

)

select * from judged
