-- mapped.device
-- Grain:   one row per Device; those of one device identifier must say the same and become one.
-- Kind:    view
-- Reads:   fhir.device
with

mapped as (

    select
        fhir_udi(device.udiCarrier) as udi_di,
        device.deviceName[1].name as device_name,
        device.manufacturer,
        fhir_extension(device.extension, 'approval-number') as approval_number,
        fhir_extension(device.extension, 'approval-date') as approval_date,
        fhir_extension(device.extension, 'intended-use') as intended_use,
        fhir_extension(device.extension, 'device-class') as device_class,
        device._row,

    from fhir.device

)

select * from mapped
