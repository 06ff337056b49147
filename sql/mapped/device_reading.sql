-- mapped.device_reading
-- Grain:   one row per DiagnosticReport: one reader, one case, one modality.
-- Kind:    view
-- Reads:   fhir.diagnostic_report
with

mapped as (

    select
        coalesce(
            fhir_extension(report.extension, 'case-id'),
            fhir_reference(report.imagingStudy[1], 'ImagingStudy')
        ) as case_id,
        fhir_reference(report.resultsInterpreter[1], 'Practitioner(?:Role)?') as reader_id,
        coalesce(
            fhir_extension(report.extension, 'modality'),
            case when len(report.result) > 0 then 'aided' else 'unaided' end
        ) as modality,
        fhir_id(fhir_reference(report.subject, 'Patient')) as person_id,
        fhir_reference(report.imagingStudy[1], 'ImagingStudy') as study_id,
        fhir_extension(report.extension, 'udi-di') as udi_di,
        fhir_extension(report.extension, 'model-version') as model_version,
        fhir_extension(report.extension, 'score') as score,
        fhir_decision(report.conclusionCode) as decision,
        fhir_extension(report.extension, 'confidence') as confidence,
        fhir_extension(report.extension, 'reading-seconds') as reading_seconds,
        report.effectiveDateTime as reading_datetime,
        report._row,

    from fhir.diagnostic_report as report

)

select * from mapped
