-- cohort.named_concept
-- Grain:   one row per code list and concept that the study itself names.
-- Reads:   clean.concept
-- Params:  $code_list_ids, $concept_ids (lists of one length, one entry a concept)
with

named as (

    select distinct
        unnest($code_list_ids::varchar[]) as code_list_id,
        unnest($concept_ids::bigint[]) as concept_id,

),

known as (

    select
        named.code_list_id,
        named.concept_id,
        concept.concept_id is not null as is_known,
        coalesce(concept.standard_concept = 'S', false) as is_standard,

    from named

    left join clean.concept
        on named.concept_id = concept.concept_id

)

select * from known
