-- cohort.observed
-- Grain:   one row per stretch of observation of a person; stretches do not overlap.
-- Reads:   clean.observation_period
-- Notes:   periods that overlap are one stretch; periods that only follow one another are not.
with

reached as (

    select
        observation_period.person_id,
        observation_period.observation_period_start_date as start_date,
        observation_period.observation_period_end_date as end_date,
        max(observation_period.observation_period_end_date) over (
            partition by observation_period.person_id
            order by
                observation_period.observation_period_start_date,
                observation_period.observation_period_end_date
            rows between unbounded preceding and 1 preceding
        ) as reached_date,

    from clean.observation_period

),

numbered as (

    select
        reached.person_id,
        reached.start_date,
        reached.end_date,
        sum(if(reached.reached_date is null or reached.start_date > reached.reached_date, 1, 0))
            over (
                partition by reached.person_id
                order by reached.start_date, reached.end_date
                rows unbounded preceding
            ) as stretch,

    from reached

),

observed as (

    select
        numbered.person_id,
        min(numbered.start_date) as observed_from,
        max(numbered.end_date) as observed_to,

    from numbered

    group by numbered.person_id, numbered.stretch

)

select * from observed
