-- cohort.missing_covariate
-- Grain:   one row per person of the study population and covariate level without a value.
-- Reads:   cohort.covariate_index, cohort.covariate
-- Params:  $covariate_ids, $levels (lists of one length: values that everybody should have)
with

wanted as (

    select
        unnest($covariate_ids::varchar[]) as covariate_id,
        unnest($levels::bigint[]) as level,

),

missing as (

    select
        covariate_index.person_id,
        wanted.covariate_id,
        wanted.level,

    from cohort.covariate_index

    cross join wanted

    left join cohort.covariate
        on covariate_index.index_id = covariate.index_id
        and wanted.covariate_id = covariate.covariate_id
        and wanted.level = covariate.level

    where covariate_index.population_id = 0
        and covariate.index_id is null

)

select * from missing
