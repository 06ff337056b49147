-- mapped.observation
-- Grain:   one row per Observation of a survey or the social history.
-- Kind:    view
-- Reads:   fhir.observation
with

mapped as (

    select
        fhir_id(observation.id) as observation_id,
        fhir_id(fhir_reference(observation.subject, 'Patient')) as person_id,
        fhir_concept(observation.code) as observation_concept_id,
        observation.effectiveDateTime as observation_date,
        fhir_time(observation.effectiveDateTime) as observation_datetime,
        32817 as observation_type_concept_id,
        coalesce(observation.valueInteger, observation.valueQuantity.value) as value_as_number,
        observation.valueString as value_as_string,
        fhir_id(fhir_reference(observation.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_source(observation.code) as observation_source_value,
        observation._row,

    from fhir.observation

    where observation.device.reference is null and fhir_is_told(observation.category)

)

select * from mapped
