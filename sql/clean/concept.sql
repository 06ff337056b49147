-- clean.concept
-- Grain:   one row per concept, though several sites deliver the vocabulary.
-- Kind:    view
-- Reads:   raw.concept
with

named as (

    select
        concept.concept_id,
        min(concept.concept_name) as concept_name,

    from raw.concept

    group by concept.concept_id

)

select * from named
