-- cohort.code_list
-- Grain:   one row per code list and concept that belongs to it.
-- Reads:   clean.concept_ancestor, clean.concept_relationship
-- Params:  $code_list_ids, $concept_ids, $include_descendants, $include_mapped, $is_excluded (lists
--          of one length: what the study names, one entry a concept)
-- Notes:   what is excluded goes last, with the concepts below it or mapped to it where it says so.
with

named as (

    select
        unnest($code_list_ids::varchar[]) as code_list_id,
        unnest($concept_ids::bigint[]) as concept_id,
        unnest($include_descendants::boolean[]) as include_descendants,
        unnest($include_mapped::boolean[]) as include_mapped,
        unnest($is_excluded::boolean[]) as is_excluded,

),

with_descendants as (

    select
        named.code_list_id,
        named.concept_id,
        named.include_mapped,
        named.is_excluded,

    from named

    union

    select
        named.code_list_id,
        concept_ancestor.descendant_concept_id as concept_id,
        named.include_mapped,
        named.is_excluded,

    from named

    inner join clean.concept_ancestor
        on named.concept_id = concept_ancestor.ancestor_concept_id

    where named.include_descendants

),

with_mapped as (

    select
        with_descendants.code_list_id,
        with_descendants.concept_id,
        with_descendants.is_excluded,

    from with_descendants

    union

    select
        with_descendants.code_list_id,
        concept_relationship.concept_id_1 as concept_id,
        with_descendants.is_excluded,

    from with_descendants

    inner join clean.concept_relationship
        on with_descendants.concept_id = concept_relationship.concept_id_2
        and concept_relationship.relationship_id = 'Maps to'

    where with_descendants.include_mapped

),

members as (

    select
        with_mapped.code_list_id,
        with_mapped.concept_id,

    from with_mapped

    where not with_mapped.is_excluded

    except

    select
        with_mapped.code_list_id,
        with_mapped.concept_id,

    from with_mapped

    where with_mapped.is_excluded

)

select * from members
