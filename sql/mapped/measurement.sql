-- mapped.measurement
-- Grain:   one row per Observation that neither a device made nor the patient told.
-- Kind:    view
-- Reads:   fhir.observation
with

mapped as (

    select
        fhir_id(observation.id) as measurement_id,
        fhir_id(fhir_reference(observation.subject, 'Patient')) as person_id,
        fhir_concept(observation.code) as measurement_concept_id,
        observation.effectiveDateTime as measurement_date,
        fhir_time(observation.effectiveDateTime) as measurement_datetime,
        32817 as measurement_type_concept_id,
        fhir_operator(observation.valueQuantity) as operator_concept_id,
        observation.valueQuantity.value as value_as_number,
        fhir_unit(observation.valueQuantity) as unit_concept_id,
        observation.referenceRange[1].low.value as range_low,
        observation.referenceRange[1].high.value as range_high,
        fhir_id(fhir_reference(observation.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_source(observation.code) as measurement_source_value,
        observation.valueQuantity.unit as unit_source_value,
        observation.valueString as value_source_value,
        observation._row,

    from fhir.observation

    where observation.device.reference is null and not fhir_is_told(observation.category)

)

select * from mapped
