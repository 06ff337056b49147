-- mapped.drug_exposure
-- Grain:   one row per MedicationRequest.
-- Kind:    view
-- Reads:   fhir.medication_request, fhir.delivery
-- Notes:   without a period of validity it ends with the days supplied, the first day included.
with

prescribed as (

    select
        request.*,
        fhir_day(request.authoredOn, delivery.timezone) as first_day,
        request.dispenseRequest.expectedSupplyDuration.value as days_supplied,

    from fhir.medication_request as request

    cross join fhir.delivery

),

ended as (

    select
        prescribed.*,
        coalesce(
            prescribed.dispenseRequest.validityPeriod.end,
            (prescribed.first_day + greatest(try_cast(prescribed.days_supplied as integer) - 1, 0))
                ::varchar,
            prescribed.authoredOn
        ) as ended_on,

    from prescribed

),

mapped as (

    select
        fhir_id(ended.id) as drug_exposure_id,
        fhir_id(fhir_reference(ended.subject, 'Patient')) as person_id,
        fhir_concept(ended.medicationCodeableConcept) as drug_concept_id,
        ended.authoredOn as drug_exposure_start_date,
        fhir_time(ended.authoredOn) as drug_exposure_start_datetime,
        ended.ended_on as drug_exposure_end_date,
        32838 as drug_type_concept_id,
        ended.dispenseRequest.quantity.value as quantity,
        ended.days_supplied as days_supply,
        ended.dosageInstruction[1].text as sig,
        fhir_id(fhir_reference(ended.encounter, 'Encounter')) as visit_occurrence_id,
        fhir_source(ended.medicationCodeableConcept) as drug_source_value,
        ended._row,

    from ended

)

select * from mapped
