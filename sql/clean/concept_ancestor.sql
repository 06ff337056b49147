-- clean.concept_ancestor
-- Grain:   one row per pair of a concept and a concept below it.
-- Kind:    view
-- Reads:   raw.concept_ancestor
with

pairs as (

    select distinct
        concept_ancestor.ancestor_concept_id,
        concept_ancestor.descendant_concept_id,

    from raw.concept_ancestor

)

select * from pairs
