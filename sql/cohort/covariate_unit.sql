-- cohort.covariate_unit
-- Grain:   one row per covariate, level and unit of the values that it would take.
-- Reads:   cohort.covariate_index, cohort.code_list, clean.measurement
-- Params:  $covariate_ids, $first_days, $last_days, $list_ids, $levels (lists of one length, an
--          entry a request whose values must have one unit)
-- Notes:   no unit is a unit of its own, 0.
with

requests as (

    select
        unnest($covariate_ids::varchar[]) as covariate_id,
        unnest($first_days::integer[]) as first_day,
        unnest($last_days::integer[]) as last_day,
        unnest($list_ids::varchar[]) as list_id,
        unnest($levels::bigint[]) as level,

),

asked as (

    select
        requests.covariate_id,
        coalesce(requests.level, measurement.measurement_concept_id) as level,
        coalesce(measurement.unit_concept_id, 0) as unit_concept_id,

    from cohort.covariate_index

    inner join clean.measurement
        on covariate_index.person_id = measurement.person_id

    inner join requests
        on measurement.measurement_date
            between covariate_index.time_zero_date + requests.first_day
            and covariate_index.time_zero_date + requests.last_day

    left join cohort.code_list
        on requests.list_id = code_list.code_list_id
        and measurement.measurement_concept_id = code_list.concept_id

    where measurement.value_as_number is not null
        and (
            code_list.concept_id is not null
            or (requests.list_id is null and measurement.measurement_concept_id <> 0)
        )

),

counted as (

    select
        asked.covariate_id,
        asked.level,
        asked.unit_concept_id,
        count(*) as records,

    from asked

    group by asked.covariate_id, asked.level, asked.unit_concept_id

)

select * from counted
