-- cohort.code_list
-- Grain:   one row per code list and concept that belongs to it.
-- Reads:   clean.concept_ancestor
-- Params:  $code_list_ids, $concept_ids, $include_descendants (lists of one length: what the
--          study names, one entry a concept)
with

named as (

    select
        unnest($code_list_ids::varchar[]) as code_list_id,
        unnest($concept_ids::bigint[]) as concept_id,
        unnest($include_descendants::boolean[]) as include_descendants,

),

members as (

    select
        named.code_list_id,
        named.concept_id,

    from named

    union

    select
        named.code_list_id,
        concept_ancestor.descendant_concept_id as concept_id,

    from named

    inner join clean.concept_ancestor
        on named.concept_id = concept_ancestor.ancestor_concept_id

    where named.include_descendants

)

select * from members
