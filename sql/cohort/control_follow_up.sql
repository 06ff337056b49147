-- cohort.control_follow_up
-- Grain:   one row per person of the study population: follow-up as if the outcome were not looked
--          for.
-- Reads:   cohort.candidate, cohort.subject, clean.death
-- Params:  $competing (none | death)
-- Notes:   days count both ends, as in cohort.subject; `cause` is 0 censored, 2 death where it
--          competes.
with

first_death as (

    select
        death.person_id,
        min(death.death_date) as death_date,

    from clean.death

    group by death.person_id

),

followed as (

    select
        candidate.person_id,
        candidate.time_zero_date,
        candidate.risk_start_date,
        least(candidate.risk_end_date, first_death.death_date) as end_date,
        case
            when $competing = 'death' and first_death.death_date <= candidate.risk_end_date then 2
            else 0
        end as cause,

    from cohort.candidate

    inner join cohort.subject
        on candidate.person_id = subject.person_id

    left join first_death
        on candidate.person_id = first_death.person_id

    where candidate.lost_at is null

),

timed as (

    select
        followed.*,
        followed.end_date - followed.risk_start_date + 1 as follow_up_days,

    from followed

    order by followed.person_id

)

select * from timed
