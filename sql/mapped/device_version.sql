-- mapped.device_version
-- Grain:   one row per Device.
-- Kind:    view
-- Reads:   fhir.device
-- Notes:   of a unique device identifier only the part that names the model (DI) stays; it is cut
--          out where values are typed.
with

mapped as (

    select
        fhir_udi(device.udiCarrier) as udi_di,
        list_filter(device.version, lambda v: v.type.text = 'model')[1].value as model_version,
        list_filter(device.version, lambda v: v.type.text = 'software')[1].value
            as software_version,
        fhir_extension(device.extension, 'threshold') as threshold,
        fhir_extension(device.extension, 'operating-point') as operating_point,
        fhir_extension(device.extension, 'valid-from') as valid_from,
        fhir_extension(device.extension, 'valid-to') as valid_to,
        fhir_extension(device.extension, 'change-plan-reference') as change_plan_reference,
        device._row,

    from fhir.device

)

select * from mapped
