-- clean.device_inference
-- Grain:   one row per run of a device on an image, failed runs included.
-- Kind:    view
-- Reads:   raw.device_inference, clean.person_key
with

keyed as (

    select
        person_key.person_id,
        device_inference.visit_occurrence_id,
        device_inference.study_id,
        device_inference.acquisition_datetime,
        device_inference.udi_di,
        device_inference.model_version,
        device_inference.shown,

    from raw.device_inference

    inner join clean.person_key
        on device_inference.site_id = person_key.site_id
        and device_inference.person_id = person_key.source_person_id

)

select * from keyed
