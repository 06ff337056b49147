-- result.prevalence
-- Grain:   one row per interval and stratum with somebody in the population.
-- Reads:   result.population_span, cohort.cohort, clean.person
-- Params:  $condition (cohort id), $unit (year | quarter | month), $is_point (boolean),
--          $age_bands (ages), $by_sex (boolean)
-- Notes:   point: in the population, and in the cohort, on the first day of the interval. period: on
--          some day of it, and of those in the cohort on some day that they are in the population.
--          Age is the year of the interval less the year of birth.
with

intervals as (

    select
        days.day::date as start_date,
        case
            when $is_point then days.day::date
            else (days.day + case $unit
                when 'month' then interval 1 month
                when 'quarter' then interval 3 month
                else interval 1 year
            end)::date - 1
        end as end_date,

    from (
        select
            unnest(
                generate_series(
                    date_trunc($unit, min(population_span.start_date)),
                    max(population_span.end_date)::timestamp,
                    case $unit
                        when 'month' then interval 1 month
                        when 'quarter' then interval 3 month
                        else interval 1 year
                    end
                )
            ) as day,
        from result.population_span
    ) as days

),

present as (

    select
        population_span.person_id,
        intervals.start_date as interval_start,
        greatest(population_span.start_date, intervals.start_date) as start_date,
        least(population_span.end_date, intervals.end_date) as end_date,

    from result.population_span

    inner join intervals
        on population_span.start_date <= intervals.end_date
        and intervals.start_date <= population_span.end_date

),

pieces as (

    select
        present.person_id,
        present.interval_start,
        present.interval_start as start_date,
        bool_or(cohort.person_id is not null) as is_ill,

    from present

    left join cohort.cohort
        on present.person_id = cohort.person_id
        and cohort.cohort_id = $condition
        and cohort.start_date <= present.end_date
        and present.start_date <= cohort.end_date

    group by present.person_id, present.interval_start

),

strata as (

    select
        pieces.*,
        '' as stratum_name,
        0::bigint as stratum_level,

    from pieces

    union all

    select
        pieces.*,
        'sex' as stratum_name,
        person.gender_concept_id::bigint as stratum_level,

    from pieces

    inner join clean.person
        on pieces.person_id = person.person_id

    where $by_sex

    union all

    select
        pieces.*,
        'age' as stratum_name,
        len(
            list_filter(
                $age_bands::integer[],
                lambda age: age <= year(pieces.start_date) - person.year_of_birth
            )
        )::bigint as stratum_level,

    from pieces

    inner join clean.person
        on pieces.person_id = person.person_id

    where len($age_bands::integer[]) > 0

),

shares as (

    select
        strata.interval_start,
        strata.stratum_name,
        strata.stratum_level,
        count(*) as persons,
        count(*) filter (where strata.is_ill) as ill,

    from strata

    group by strata.interval_start, strata.stratum_name, strata.stratum_level

    order by strata.stratum_name, strata.stratum_level, strata.interval_start

)

select * from shares
