-- cohort.raw_count
-- Grain:   one row per arm and step before anyone enters: records and persons.
-- Reads:   clean.drug_era, cohort.code_list
-- Params:  $target, $comparator (code list ids)
-- Notes:   step `records` is the whole table, the same for both arms; `with_code` those records
--          whose code is of the arm.
with

arms as (

    select unnest([$target, $comparator]) as arm,

),

everything as (

    select
        count(*) as records,
        count(distinct drug_era.person_id) as persons,

    from clean.drug_era

),

of_arms as (

    select
        code_list.code_list_id as arm,
        count(*) as records,
        count(distinct drug_era.person_id) as persons,

    from clean.drug_era

    inner join cohort.code_list
        on drug_era.drug_concept_id = code_list.concept_id

    group by code_list.code_list_id

),

counted as (

    select
        arms.arm,
        'records' as step_id,
        everything.records,
        everything.persons,

    from arms

    cross join everything

    union all

    select
        arms.arm,
        'with_code' as step_id,
        coalesce(of_arms.records, 0) as records,
        coalesce(of_arms.persons, 0) as persons,

    from arms

    left join of_arms
        on arms.arm = of_arms.arm

)

select * from counted
