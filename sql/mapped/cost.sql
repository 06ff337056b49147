-- mapped.cost
-- Grain:   one row per item of a Claim; a Claim without items has one row, which is not complete.
-- Kind:    view
-- Reads:   fhir.claim
-- Notes:   cost_id is that of the claim where it has one item, else of its id and the item's place
--          in it, from 1 without a gap: ingest finds the items of a claim that is corrected by it.
--          Items of one sequence have one place, and so conflict;
--          a currency that is named is concept 0: its ISO code has no place in the table.
with

items as (

    select
        claim._row,
        claim.id,
        claim.patient,
        claim.total,
        coalesce(len(claim.item), 0) as n_items,
        unnest(case when len(claim.item) > 0 then claim.item else [null] end) as item,
        list_transform(claim.item, lambda i: i.sequence) as sequences,

    from fhir.claim

),

mapped as (

    select
        case
            when items.n_items <= 1 then fhir_id(items.id)
            when items.item.sequence is not null
            then fhir_id(items.id || '/' || list_position(items.sequences, items.item.sequence))
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
