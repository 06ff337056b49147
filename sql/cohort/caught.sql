-- cohort.caught
-- Grain:   one row per code list, table and concept (or source code) of the records in the list.
-- Reads:   clean.coded_record, clean.concept, cohort.code_list, cohort.source_code
with

matches as (

    select
        code_list.code_list_id,
        coded_record.table_name,
        coded_record.record_number,
        coded_record.person_id,
        concept.vocabulary_id,
        coded_record.concept_id::varchar as member,
        concept.concept_name as member_name,

    from clean.coded_record

    inner join cohort.code_list
        on coded_record.concept_id = code_list.concept_id

    left join clean.concept
        on coded_record.concept_id = concept.concept_id

    union all

    select
        source_code.code_list_id,
        coded_record.table_name,
        coded_record.record_number,
        coded_record.person_id,
        source_code.vocabulary_id,
        coded_record.source_code as member,
        null as member_name,

    from clean.coded_record

    inner join cohort.source_code
        on starts_with(coded_record.source_code, source_code.code)
        and (source_code.is_prefix or coded_record.source_code = source_code.code)
        and coded_record.start_date >= coalesce(source_code.valid_from, date '0001-01-01')
        and coded_record.start_date <= coalesce(source_code.valid_to, date '9999-12-31')

),

counted as (

    select
        matches.code_list_id,
        matches.table_name,
        matches.vocabulary_id,
        matches.member,
        min(matches.member_name) as member_name,
        count(distinct matches.record_number) as records,
        count(distinct matches.person_id) as persons,

    from matches

    group by all

),

totals as (

    select
        matches.code_list_id,
        count(distinct matches.person_id) as list_persons,

    from matches

    group by matches.code_list_id

),

joined as (

    select
        counted.code_list_id,
        counted.table_name,
        counted.vocabulary_id,
        counted.member,
        counted.member_name,
        counted.records,
        counted.persons,
        totals.list_persons,

    from counted

    inner join totals
        on counted.code_list_id = totals.code_list_id

)

select * from joined
