-- cohort.subject
-- Grain:   one row per person of the study population.
-- Reads:   cohort.candidate, cohort.outcome_event, clean.death, clean.person
-- Params:  $target (arm id), $competing (none | death)
-- Notes:   follow-up counts both its first and its last day, and always ends at death. `cause` is
--          0 censored, 1 outcome, 2 death where it competes; an outcome on the day of death or
--          of a censoring event counts as the outcome, and a death on the day of a censoring event
--          as the death.
with

members as (

    select candidate.*

    from cohort.candidate

    where candidate.lost_at is null

),

first_outcome as (

    select
        members.person_id,
        min(outcome_event.event_date) as outcome_date,

    from members

    inner join cohort.outcome_event
        on members.person_id = outcome_event.person_id
        and outcome_event.event_date between members.risk_start_date and members.risk_end_date

    group by members.person_id

),

first_death as (

    select
        death.person_id,
        min(death.death_date) as death_date,

    from clean.death

    group by death.person_id

),

followed as (

    select
        members.person_id,
        person.site_id,
        members.arm,
        members.arm = $target as is_target,
        members.time_zero_date,
        year(members.time_zero_date) - person.year_of_birth as age_years,
        person.gender_concept_id,
        least(members.risk_end_date, first_death.death_date, first_outcome.outcome_date)
            as follow_up_end_date,
        case
            when first_outcome.outcome_date <= least(members.risk_end_date, first_death.death_date)
                then 1
            when $competing = 'death' and first_death.death_date <= members.risk_end_date then 2
            else 0
        end as cause,
        members.risk_start_date,

    from members

    inner join clean.person
        on members.person_id = person.person_id

    left join first_outcome
        on members.person_id = first_outcome.person_id

    left join first_death
        on members.person_id = first_death.person_id

),

timed as (

    select
        followed.* exclude (risk_start_date),
        followed.follow_up_end_date - followed.risk_start_date + 1 as follow_up_days,

    from followed

    order by followed.person_id

)

select * from timed
