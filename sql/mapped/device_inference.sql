-- mapped.device_inference
-- Grain:   one row per Observation that a device made.
-- Kind:    view
-- Reads:   fhir.observation, fhir.device, mapped.device_version
-- Notes:   which device and version it was stands in the Device resource of the same delivery.
with

devices as (

    select
        device.id,
        arg_min(device_version.udi_di, device._row) as udi_di,
        arg_min(device_version.model_version, device._row) as model_version,

    from fhir.device

    inner join mapped.device_version
        on device._row = device_version._row

    group by device.id

),

mapped as (

    select
        observation.id as device_inference_id,
        fhir_id(fhir_reference(observation.subject, 'Patient')) as person_id,
        fhir_id(fhir_reference(observation.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_reference(observation.derivedFrom[1], 'ImagingStudy') as study_id,
        fhir_extension(observation.extension, 'image-id') as image_id,
        observation.bodySite.text as body_part,
        fhir_extension(observation.extension, 'scanner') as scanner,
        devices.udi_di,
        devices.model_version,
        observation.effectiveDateTime as acquisition_datetime,
        observation.issued as inference_datetime,
        observation.valueQuantity.value as score,
        fhir_decision(observation.interpretation) as decision,
        fhir_extension(observation.extension, 'shown') as shown,
        fhir_extension(observation.extension, 'latency-seconds') as latency_seconds,
        fhir_extension(observation.extension, 'input-quality') as input_quality,
        observation.dataAbsentReason.text as failure,
        observation._row,

    from fhir.observation

    left join devices
        on fhir_reference(observation.device, 'Device') = devices.id

    where observation.device.reference is not null

)

select * from mapped
