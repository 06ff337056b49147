-- cohort.first_era
-- Grain:   one row per person and arm: the first drug era of that arm's code list.
-- Reads:   clean.drug_era, cohort.code_list
-- Params:  $target, $comparator (code list ids)
-- Notes:   where several eras start on that first day, the one that ends last is taken.
with

eras as (

    select
        drug_era.person_id,
        code_list.code_list_id as arm,
        drug_era.drug_era_start_date as era_start_date,
        drug_era.drug_era_end_date as era_end_date,

    from clean.drug_era

    inner join cohort.code_list
        on drug_era.drug_concept_id = code_list.concept_id

    where code_list.code_list_id in ($target, $comparator)

),

first_eras as (

    select
        eras.person_id,
        eras.arm,
        eras.era_start_date,
        max(eras.era_end_date) as era_end_date,

    from eras

    group by eras.person_id, eras.arm, eras.era_start_date

    qualify row_number() over (
        partition by eras.person_id, eras.arm order by eras.era_start_date
    ) = 1

)

select * from first_eras
