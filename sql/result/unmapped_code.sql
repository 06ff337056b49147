-- result.unmapped_code
-- Grain:   one row per site, table and source code without a concept, the most frequent of each.
-- Reads:   clean.coded_record
-- Params:  $most (how many codes of a site and table are kept)
-- Notes:   what does not look like a code is left out: a source may write anything there.
with

unmapped as (

    select
        coded_record.site_id,
        coded_record.table_name,
        coded_record.source_code,
        count(*) as records,
        count(distinct coded_record.person_id) as persons,

    from clean.coded_record

    where coalesce(coded_record.concept_id, 0) = 0
        and regexp_full_match(coded_record.source_code, '[A-Z0-9][A-Z0-9_/+-]{0,19}')

    group by coded_record.site_id, coded_record.table_name, coded_record.source_code

),

ranked as (

    select
        unmapped.site_id,
        unmapped.table_name,
        unmapped.source_code,
        unmapped.records,
        unmapped.persons,

    from unmapped

    qualify row_number() over (
        partition by unmapped.site_id, unmapped.table_name
        order by unmapped.records desc, unmapped.source_code
    ) <= $most

    order by unmapped.site_id, unmapped.table_name, unmapped.records desc, unmapped.source_code

)

select * from ranked
