-- mapped.cost
-- Grain:   one row per item of a Claim; a Claim without items has one row, which is not complete.
-- Kind:    view
-- Reads:   fhir.claim
-- Notes:   a currency that is named is concept 0: its ISO code has no place in the table.
with

items as (

    select
        claim._row,
        claim.id,
        claim.patient,
        claim.total,
        coalesce(len(claim.item), 0) as n_items,
        unnest(case when len(claim.item) > 0 then claim.item else [null] end) as item,

    from fhir.claim

),

mapped as (

    select
        case when items.n_items > 1
            then fhir_id(items.id || '/' || items.item.sequence)
            else fhir_id(items.id)
        end as cost_id,
        fhir_id(fhir_reference(items.patient, 'Patient')) as person_id,
        fhir_id(fhir_reference(items.item.encounter[1], 'Encounter')) as cost_event_id,
        'Visit' as cost_domain_id,
        32817 as cost_type_concept_id,
        case when coalesce(items.item.net.currency, items.total.currency) is not null then 0 end
            as currency_concept_id,
        coalesce(
            items.item.net.value,
            case when items.n_items = 1 then items.total.value end
        ) as total_cost,
        fhir_extension(items.item.extension, 'paid-by-payer') as paid_by_payer,
        fhir_extension(items.item.extension, 'paid-by-patient') as paid_by_patient,
        fhir_source(items.item.productOrService) as revenue_code_source_value,
        items._row,

    from items

)

select * from mapped
