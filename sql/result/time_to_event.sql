-- result.time_to_event
-- Grain:   one row per bin of days around the index day.
-- Reads:   cohort.cohort, result.population_span
-- Params:  $index, $event (cohort ids), $bins_days (days that rise; a bin holds its first bound)
-- Notes:   result.population_span is that of everybody observed. A person counts in a bin when
--          observed on some day of it, and as having the event when one starts on such a day.
with

first_days as (

    select
        cohort.person_id,
        min(cohort.start_date) as index_date,

    from cohort.cohort

    where cohort.cohort_id = $index

    group by cohort.person_id

),

bins as (

    select
        bounds.bound as first_day,
        lead(bounds.bound) over (order by bounds.bound) - 1 as last_day,

    from (select unnest($bins_days::integer[]) as bound) as bounds

    qualify lead(bounds.bound) over (order by bounds.bound) is not null

),

seen as (

    select
        first_days.person_id,
        bins.first_day,
        bins.last_day,
        greatest(population_span.start_date, first_days.index_date + bins.first_day) as start_date,
        least(population_span.end_date, first_days.index_date + bins.last_day) as end_date,

    from first_days

    cross join bins

    inner join result.population_span
        on first_days.person_id = population_span.person_id
        and population_span.start_date <= first_days.index_date + bins.last_day
        and first_days.index_date + bins.first_day <= population_span.end_date

),

had as (

    select
        seen.person_id,
        seen.first_day,
        bool_or(cohort.person_id is not null) as has_event,

    from seen

    left join cohort.cohort
        on seen.person_id = cohort.person_id
        and cohort.cohort_id = $event
        and cohort.start_date between seen.start_date and seen.end_date

    group by seen.person_id, seen.first_day

),

counted as (

    select
        bins.first_day,
        bins.last_day,
        count(had.person_id) as persons,
        count(had.person_id) filter (where had.has_event) as with_event,
        (select count(*) from first_days) as index_persons,

    from bins

    left join had
        on bins.first_day = had.first_day

    group by bins.first_day, bins.last_day

    order by bins.first_day

)

select * from counted
