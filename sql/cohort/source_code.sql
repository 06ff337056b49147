-- cohort.source_code
-- Grain:   one row per code list, code system, code and days on which it counts.
-- Params:  $code_list_ids, $vocabulary_ids, $codes, $are_prefixes, $valid_from, $valid_to (lists of
--          one length: what the study names, one entry a code)
-- Notes:   codes are in plain form: upper case, without dots; a prefix takes in all that start so.
with

codes as (

    select distinct
        unnest($code_list_ids::varchar[]) as code_list_id,
        unnest($vocabulary_ids::varchar[]) as vocabulary_id,
        unnest($codes::varchar[]) as code,
        unnest($are_prefixes::boolean[]) as is_prefix,
        unnest($valid_from::date[]) as valid_from,
        unnest($valid_to::date[]) as valid_to,

)

select * from codes
