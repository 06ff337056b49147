-- result.treatment_pattern
-- Grain:   one row per order in which treatments begin after the index day.
-- Reads:   cohort.cohort
-- Params:  $index (cohort id), $treatments (list of cohort ids), $days (length from the index day
--          on), $max_steps, $combine_days (days)
-- Notes:   of each treatment the first start counts. A treatment that starts at most $combine_days
--          after the one before it belongs to the same step. No treatment is the empty path.
with

first_days as (

    select
        cohort.person_id,
        min(cohort.start_date) as index_date,

    from cohort.cohort

    where cohort.cohort_id = $index

    group by cohort.person_id

),

starts as (

    select
        first_days.person_id,
        cohort.cohort_id as treatment,
        min(cohort.start_date) as start_date,

    from first_days

    inner join cohort.cohort
        on first_days.person_id = cohort.person_id
        and cohort.start_date
            between first_days.index_date and first_days.index_date + $days::integer

    where list_contains($treatments::varchar[], cohort.cohort_id)

    group by first_days.person_id, cohort.cohort_id

),

marked as (

    select
        starts.*,
        coalesce(
            starts.start_date - lag(starts.start_date) over (
                partition by starts.person_id order by starts.start_date, starts.treatment
            ) > $combine_days::integer,
            true
        )::integer as is_new,

    from starts

),

numbered as (

    select
        marked.*,
        sum(marked.is_new) over (
            partition by marked.person_id order by marked.start_date, marked.treatment
        ) as step,

    from marked

),

steps as (

    select
        numbered.person_id,
        numbered.step,
        string_agg(numbered.treatment, ' + ' order by numbered.treatment) as treatment,

    from numbered

    where numbered.step <= $max_steps::integer

    group by numbered.person_id, numbered.step

),

paths as (

    select
        first_days.person_id,
        coalesce(string_agg(steps.treatment, ' > ' order by steps.step), '') as path,

    from first_days

    left join steps
        on first_days.person_id = steps.person_id

    group by first_days.person_id

),

counted as (

    select
        paths.path,
        count(*) as persons,
        (select count(*) from first_days) as index_persons,

    from paths

    group by paths.path

    order by persons desc, paths.path

)

select * from counted
