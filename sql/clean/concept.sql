-- clean.concept
-- Grain:   one row per concept, though several sites deliver the vocabulary.
-- Kind:    view
-- Reads:   raw.concept
-- Notes:   where sites disagree on a concept, the name, code and so on that come first in order.
with

named as (

    select
        concept.concept_id,
        min(concept.concept_name) as concept_name,
        min(concept.domain_id) as domain_id,
        min(concept.vocabulary_id) as vocabulary_id,
        min(concept.concept_class_id) as concept_class_id,
        min(concept.standard_concept) as standard_concept,
        min(concept.concept_code) as concept_code,
        min(concept.valid_start_date) as valid_start_date,
        max(concept.valid_end_date) as valid_end_date,
        min(concept.invalid_reason) as invalid_reason,

    from raw.concept

    group by concept.concept_id

)

select * from named
