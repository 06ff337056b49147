-- cohort.complete_subject
-- Grain:   one row per person of the study population whose covariates are complete.
-- Reads:   cohort.subject, cohort.missing_covariate
with

complete as (

    select subject.*

    from cohort.subject

    left join (select distinct missing_covariate.person_id from cohort.missing_covariate) as missing
        on subject.person_id = missing.person_id

    where missing.person_id is null

    order by subject.person_id

)

select * from complete
