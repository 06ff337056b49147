-- cohort.index_image
-- Grain:   one row per person and population with an entry of the device log on the day of time
--          zero.
-- Reads:   cohort.covariate_index, clean.device_inference
-- Notes:   the first image of the day. Persons without an entry have no row: where a device was not
--          yet in use, nobody has.
with

logged as (

    select
        covariate_index.index_id,
        covariate_index.population_id,
        device_inference.scanner,
        device_inference.body_part,

    from cohort.covariate_index

    inner join clean.device_inference
        on covariate_index.person_id = device_inference.person_id
        and covariate_index.time_zero_date = device_inference.acquisition_datetime::date

    qualify row_number() over (
        partition by covariate_index.index_id
        order by
            device_inference.acquisition_datetime,
            device_inference.study_id,
            device_inference.device_inference_id
    ) = 1

    order by covariate_index.index_id

)

select * from logged
