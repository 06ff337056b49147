-- cohort.control_outcome
-- Grain:   one row per negative control and person of the study population that has it before risk
--          starts, within the look-back of the outcome, or while at risk.
-- Reads:   cohort.control_follow_up, cohort.control_event
-- Params:  $prior_outcome_days (days)
-- Notes:   all controls in one pass. `is_prior` leaves the person out of the analysis of that
--          control; `follow_up_days` is empty where the control does not occur at risk.
with

seen as (

    select
        control_event.control_id,
        control_follow_up.person_id,
        bool_or(control_event.event_date < control_follow_up.risk_start_date) as is_prior,
        min(control_event.event_date - control_follow_up.risk_start_date + 1)
        filter (where control_event.event_date >= control_follow_up.risk_start_date)
            as follow_up_days,

    from cohort.control_follow_up

    inner join cohort.control_event
        on control_follow_up.person_id = control_event.person_id
        and control_event.event_date
            between control_follow_up.time_zero_date - $prior_outcome_days::integer
            and control_follow_up.end_date

    group by control_event.control_id, control_follow_up.person_id

    order by control_event.control_id, control_follow_up.person_id

)

select * from seen
