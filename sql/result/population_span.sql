-- result.population_span
-- Grain:   one row per person and unbroken span in a population, within observation.
-- Reads:   clean.observation_period, cohort.cohort
-- Params:  $population (cohort id, or everybody_observed), $first_date, $last_date (days to which
--          spans are cut; open when null)
-- Notes:   periods that overlap or follow one another without a day between are one.
with

observed as (

    select
        periods.person_id,
        min(periods.start_date) as start_date,
        max(periods.end_date) as end_date,

    from (
        select
            marked.*,
            sum(marked.is_new) over (
                partition by marked.person_id order by marked.start_date, marked.end_date
            ) as island,
        from (
            select
                observation_period.person_id,
                observation_period.observation_period_start_date as start_date,
                observation_period.observation_period_end_date as end_date,
                coalesce(
                    observation_period.observation_period_start_date > 1 + max(
                        observation_period.observation_period_end_date
                    ) over (
                        partition by observation_period.person_id
                        order by
                            observation_period.observation_period_start_date,
                            observation_period.observation_period_end_date
                        rows between unbounded preceding and 1 preceding
                    ),
                    true
                )::integer as is_new,
            from clean.observation_period
        ) as marked
    ) as periods

    group by periods.person_id, periods.island

),

members as (

    select
        spans.person_id,
        min(spans.start_date) as start_date,
        max(spans.end_date) as end_date,

    from (
        select
            marked.*,
            sum(marked.is_new) over (
                partition by marked.person_id order by marked.start_date, marked.end_date
            ) as island,
        from (
            select
                cohort.person_id,
                cohort.start_date,
                cohort.end_date,
                coalesce(
                    cohort.start_date > 1 + max(cohort.end_date) over (
                        partition by cohort.person_id
                        order by cohort.start_date, cohort.end_date
                        rows between unbounded preceding and 1 preceding
                    ),
                    true
                )::integer as is_new,
            from cohort.cohort
            where cohort.cohort_id = $population
        ) as marked
    ) as spans

    group by spans.person_id, spans.island

),

spans as (

    select
        observed.person_id,
        observed.start_date,
        observed.end_date,

    from observed

    where $population = 'everybody_observed'

    union all

    select
        members.person_id,
        greatest(members.start_date, observed.start_date) as start_date,
        least(members.end_date, observed.end_date) as end_date,

    from members

    inner join observed
        on members.person_id = observed.person_id
        and members.start_date <= observed.end_date
        and observed.start_date <= members.end_date

    where $population <> 'everybody_observed'

),

cut as (

    select
        spans.person_id,
        greatest(spans.start_date, coalesce($first_date::date, spans.start_date)) as start_date,
        least(spans.end_date, coalesce($last_date::date, spans.end_date)) as end_date,

    from spans

    where spans.start_date <= coalesce($last_date::date, spans.start_date)
        and spans.end_date >= coalesce($first_date::date, spans.end_date)

)

select * from cut
