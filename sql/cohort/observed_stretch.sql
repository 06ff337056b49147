-- cohort.observed_stretch
-- Grain:   one row per person and stretch of observation without overlap.
-- Reads:   clean.observation_period
-- Notes:   periods that overlap, which the CDM forbids, are one; circepy would count an event once in
--          each. A period that starts the day after another ends stays a period of its own.
with

reached as (

    select
        observation_period.person_id,
        observation_period.observation_period_id,
        observation_period.observation_period_start_date,
        observation_period.observation_period_end_date,
        observation_period.period_type_concept_id,
        max(observation_period.observation_period_end_date) over (
            partition by observation_period.person_id
            order by
                observation_period.observation_period_start_date,
                observation_period.observation_period_end_date,
                observation_period.observation_period_id
            rows between unbounded preceding and 1 preceding
        ) as reached_date,

    from clean.observation_period

),

numbered as (

    select
        reached.*,
        sum(if(reached.observation_period_start_date <= reached.reached_date, 0, 1)) over (
            partition by reached.person_id
            order by
                reached.observation_period_start_date,
                reached.observation_period_end_date,
                reached.observation_period_id
            rows unbounded preceding
        ) as stretch,

    from reached

),

stretches as (

    select
        numbered.person_id,
        min(numbered.observation_period_id) as observation_period_id,
        min(numbered.observation_period_start_date) as observation_period_start_date,
        max(numbered.observation_period_end_date) as observation_period_end_date,
        min(numbered.period_type_concept_id) as period_type_concept_id,

    from numbered

    group by numbered.person_id, numbered.stretch

)

select * from stretches
