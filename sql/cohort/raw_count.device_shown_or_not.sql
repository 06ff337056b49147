-- cohort.raw_count
-- Grain:   one row per arm and step before anyone enters: records and persons.
-- Reads:   clean.procedure_occurrence, cohort.code_list
-- Params:  $target, $comparator (arm ids), $image (code list id)
-- Notes:   which arm a person belongs to is known only from the first image on, so both arms have
--          the same numbers: `records` the whole table, `with_code` images, in any period.
with

arms as (

    select unnest([$target, $comparator]) as arm,

),

images as (

    select distinct code_list.concept_id,

    from cohort.code_list

    where code_list.code_list_id = $image

),

steps as (

    select
        'records' as step_id,
        count(*) as records,
        count(distinct procedure_occurrence.person_id) as persons,

    from clean.procedure_occurrence

    union all

    select
        'with_code' as step_id,
        count(*) as records,
        count(distinct procedure_occurrence.person_id) as persons,

    from clean.procedure_occurrence

    inner join images
        on procedure_occurrence.procedure_concept_id = images.concept_id

),

counted as (

    select
        arms.arm,
        steps.step_id,
        steps.records,
        steps.persons,

    from arms

    cross join steps

)

select * from counted
