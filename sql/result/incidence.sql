-- result.incidence
-- Grain:   one row per interval and stratum with time at risk.
-- Reads:   result.population_span, cohort.cohort, cohort.code_list, clean.condition_occurrence,
--          clean.person
-- Params:  $outcome (cohort id), $outcome_list (code list id of conditions; one of the two is null),
--          $clean_window_days (null: for good), $repeated (boolean),
--          $unit (overall | year | quarter | month), $age_bands (ages), $by_sex (boolean)
-- Notes:   an event blocks the days after its start up to the clean window after its end; a day at
--          risk is a day of the population that no earlier event blocks. Where events are not
--          repeated, a person's time ends with the first event that counts. Age is the calendar
--          year less the year of birth, so time is cut where a year ends.
with

onsets as (

    select
        events.person_id,
        events.start_date,
        max(events.end_date) as end_date,

    from (
        select
            cohort.person_id,
            cohort.start_date,
            cohort.end_date,
        from cohort.cohort
        where cohort.cohort_id = $outcome
        union all
        select
            condition_occurrence.person_id,
            condition_occurrence.condition_start_date as start_date,
            condition_occurrence.condition_start_date as end_date,
        from clean.condition_occurrence
        inner join cohort.code_list
            on condition_occurrence.condition_concept_id = code_list.concept_id
            and code_list.code_list_id = $outcome_list
    ) as events

    group by events.person_id, events.start_date

),

blocks as (

    select
        onsets.person_id,
        onsets.start_date + 1 as start_date,
        case
            when $clean_window_days::integer is null then date '9999-12-31'
            else onsets.end_date + $clean_window_days::integer
        end as end_date,

    from onsets

    where $clean_window_days::integer is null
        or onsets.end_date + $clean_window_days::integer > onsets.start_date

),

blocked as (

    select
        islands.person_id,
        min(islands.start_date) as start_date,
        max(islands.end_date) as end_date,

    from (
        select
            marked.*,
            sum(marked.is_new) over (
                partition by marked.person_id order by marked.start_date, marked.end_date
            ) as island,
        from (
            select
                blocks.*,
                coalesce(
                    blocks.start_date > 1 + max(blocks.end_date) over (
                        partition by blocks.person_id
                        order by blocks.start_date, blocks.end_date
                        rows between unbounded preceding and 1 preceding
                    ),
                    true
                )::integer as is_new,
            from blocks
        ) as marked
    ) as islands

    group by islands.person_id, islands.island

),

free as (

    select
        blocked.person_id,
        coalesce(
            1 + lag(blocked.end_date) over (
                partition by blocked.person_id order by blocked.start_date
            ),
            date '0001-01-01'
        ) as start_date,
        blocked.start_date - 1 as end_date,

    from blocked

    union all

    select
        blocked.person_id,
        max(blocked.end_date) + 1 as start_date,
        date '9999-12-31' as end_date,

    from blocked

    group by blocked.person_id

    union all

    select distinct
        population_span.person_id,
        date '0001-01-01' as start_date,
        date '9999-12-31' as end_date,

    from result.population_span

    where population_span.person_id not in (select blocked.person_id from blocked)

),

unblocked as (

    select
        population_span.person_id,
        greatest(population_span.start_date, free.start_date) as start_date,
        least(population_span.end_date, free.end_date) as end_date,

    from result.population_span

    inner join free
        on population_span.person_id = free.person_id
        and population_span.start_date <= free.end_date
        and free.start_date <= population_span.end_date

),

new_events as (

    select
        onsets.person_id,
        onsets.start_date,

    from onsets

    inner join unblocked
        on onsets.person_id = unblocked.person_id
        and onsets.start_date between unblocked.start_date and unblocked.end_date

    qualify $repeated
        or row_number() over (partition by onsets.person_id order by onsets.start_date) = 1

),

last_days as (

    select
        new_events.person_id,
        min(new_events.start_date) as last_date,

    from new_events

    where not $repeated

    group by new_events.person_id

),

at_risk as (

    select
        unblocked.person_id,
        unblocked.start_date,
        least(unblocked.end_date, coalesce(last_days.last_date, unblocked.end_date)) as end_date,

    from unblocked

    left join last_days
        on unblocked.person_id = last_days.person_id

    where unblocked.start_date <= coalesce(last_days.last_date, unblocked.end_date)

),

intervals as (

    select
        days.day::date as start_date,
        (days.day + case $unit
            when 'month' then interval 1 month
            when 'quarter' then interval 3 month
            else interval 1 year
        end)::date - 1 as end_date,
        case when $unit = 'overall' then null else days.day::date end as interval_start,

    from (
        select
            unnest(
                generate_series(
                    date_trunc(
                        case $unit when 'overall' then 'year' else $unit end,
                        min(at_risk.start_date)
                    ),
                    max(at_risk.end_date)::timestamp,
                    case $unit
                        when 'month' then interval 1 month
                        when 'quarter' then interval 3 month
                        else interval 1 year
                    end
                )
            ) as day,
        from at_risk
    ) as days

),

pieces as (

    select
        at_risk.person_id,
        intervals.interval_start,
        greatest(at_risk.start_date, intervals.start_date) as start_date,
        least(at_risk.end_date, intervals.end_date) as end_date,

    from at_risk

    inner join intervals
        on at_risk.start_date <= intervals.end_date
        and intervals.start_date <= at_risk.end_date

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

counted as (

    select
        strata.interval_start,
        strata.stratum_name,
        strata.stratum_level,
        strata.person_id,
        strata.end_date - strata.start_date + 1 as days,
        count(new_events.start_date) as events,

    from strata

    left join new_events
        on strata.person_id = new_events.person_id
        and new_events.start_date between strata.start_date and strata.end_date

    group by
        strata.interval_start,
        strata.stratum_name,
        strata.stratum_level,
        strata.person_id,
        strata.start_date,
        strata.end_date

),

rates as (

    select
        counted.interval_start,
        counted.stratum_name,
        counted.stratum_level,
        count(distinct counted.person_id) as persons,
        sum(counted.days)::bigint as person_days,
        sum(counted.events)::bigint as events,
        count(distinct counted.person_id) filter (where counted.events > 0) as persons_with_event,

    from counted

    group by counted.interval_start, counted.stratum_name, counted.stratum_level

    order by counted.stratum_name, counted.stratum_level, counted.interval_start

)

select * from rates
