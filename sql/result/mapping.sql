-- result.mapping
-- Grain:   one row per site, table and period of code systems.
-- Reads:   clean.coded_record
-- Params:  $split_tables (list of tables whose code system changed), $split_date (date)
-- Notes:   a record without a code of any kind is not counted; a record is mapped when its
--          concept is not 0; a code is, when some record of it is. `fewest_persons` counts
--          the persons of the smaller of the two parts that hold anybody.
with

placed as (

    select
        coded_record.site_id,
        coded_record.table_name,
        coded_record.person_id,
        coded_record.source_code,
        coalesce(coded_record.concept_id, 0) <> 0 as is_mapped,
        case
            when not list_contains($split_tables::varchar[], coded_record.table_name) then 'all'
            when coded_record.start_date < $split_date::date then 'before'
            else 'after'
        end as period,

    from clean.coded_record

    where coded_record.source_code is not null
        or coded_record.concept_id <> 0

),

counted as (

    select
        placed.site_id,
        placed.table_name,
        placed.period,
        count(*) as records,
        count(*) filter (placed.is_mapped) as records_mapped,
        count(distinct placed.source_code) as codes,
        count(distinct placed.source_code) filter (placed.is_mapped) as codes_mapped,
        nullif(count(distinct placed.person_id) filter (placed.is_mapped), 0) as persons_mapped,
        nullif(count(distinct placed.person_id) filter (not placed.is_mapped), 0)
            as persons_unmapped,

    from placed

    group by placed.site_id, placed.table_name, placed.period

),

weighed as (

    select
        counted.site_id,
        counted.table_name,
        counted.period,
        counted.records,
        counted.records_mapped,
        counted.codes,
        counted.codes_mapped,
        least(counted.persons_mapped, counted.persons_unmapped) as fewest_persons,

    from counted

    order by counted.site_id, counted.table_name, counted.period

)

select * from weighed
