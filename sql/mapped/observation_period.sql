-- mapped.observation_period
-- Grain:   one row per Patient whose time under observation is stated, or can be told from events.
-- Kind:    view
-- Reads:   fhir.patient, fhir.delivery, mapped.death, mapped.visit_occurrence,
--          mapped.condition_occurrence, mapped.drug_exposure, mapped.procedure_occurrence,
--          mapped.measurement, mapped.observation, mapped.device_inference, mapped.device_reading
-- Notes:   where nothing is stated, a full delivery tells it from the first to the last event,
--          ending at death or the data cut-off. An increment holds too few events to tell.
with

patient as (

    select
        patient._row,
        fhir_id(patient.id) as person_id,
        fhir_period(patient.extension, 'observation-period') as stated,
        fhir_day(patient.deceasedDateTime, delivery.timezone) as death_day,
        delivery.data_cutoff,
        delivery.kind,

    from fhir.patient

    cross join fhir.delivery

),

moments as (

    select person_id, death_date as moment from mapped.death
    union all
    select person_id, visit_start_date from mapped.visit_occurrence
    union all
    select person_id, visit_end_date from mapped.visit_occurrence
    union all
    select person_id, condition_start_date from mapped.condition_occurrence
    union all
    select person_id, drug_exposure_start_date from mapped.drug_exposure
    union all
    select person_id, procedure_date from mapped.procedure_occurrence
    union all
    select person_id, measurement_date from mapped.measurement
    union all
    select person_id, observation_date from mapped.observation
    union all
    select person_id, acquisition_datetime from mapped.device_inference
    union all
    select person_id, reading_datetime from mapped.device_reading

),

events as (

    select
        moments.person_id,
        min(fhir_day(moments.moment, delivery.timezone)) as first_day,
        max(fhir_day(moments.moment, delivery.timezone)) as last_day,

    from moments

    cross join fhir.delivery

    group by moments.person_id

),

told as (

    select
        patient._row,
        patient.person_id,
        events.first_day,
        least(events.last_day, patient.death_day, patient.data_cutoff) as last_day,

    from patient

    inner join events
        on patient.person_id = events.person_id

    where patient.stated is null and patient.kind = 'full'

),

mapped as (

    select
        patient.person_id as observation_period_id,
        patient.person_id,
        patient.stated.start as observation_period_start_date,
        patient.stated.end as observation_period_end_date,
        32817 as period_type_concept_id,
        patient._row,

    from patient

    where patient.stated is not null

    union all

    select
        told.person_id as observation_period_id,
        told.person_id,
        told.first_day::varchar as observation_period_start_date,
        told.last_day::varchar as observation_period_end_date,
        32817 as period_type_concept_id,
        told._row,

    from told

    where told.first_day <= told.last_day

)

select * from mapped
