-- clean.concept_relationship
-- Grain:   one row per pair of concepts and relationship that is in force.
-- Kind:    view
-- Reads:   raw.concept_relationship
with

pairs as (

    select distinct
        concept_relationship.concept_id_1,
        concept_relationship.concept_id_2,
        concept_relationship.relationship_id,
        concept_relationship.invalid_reason,

    from raw.concept_relationship

    where concept_relationship.invalid_reason is null

)

select * from pairs
