-- cohort.covariate_index
-- Grain:   one row per person and population that covariates describe.
-- Reads:   cohort.subject, cohort.cohort, clean.person
-- Params:  $cohorts (list of cohort ids: populations 1, 2, … in this order)
-- Notes:   population 0 is the study population, at time zero; a cohort is described on the first
--          day of each member. Exact age: an unknown month of birth counts as July, an unknown day
--          as the 15th, as the 1st where both are unknown.
with

populations as (

    select
        unnest($cohorts::varchar[]) as cohort_id,
        unnest(range(1, len($cohorts::varchar[]) + 1)) as population_id,

),

members as (

    select
        0 as population_id,
        subject.person_id,
        subject.time_zero_date,

    from cohort.subject

    union all

    select
        populations.population_id,
        cohort.person_id,
        min(cohort.start_date) as time_zero_date,

    from cohort.cohort

    inner join populations
        on cohort.cohort_id = populations.cohort_id

    group by populations.population_id, cohort.person_id

),

born as (

    select
        person.person_id,
        person.site_id,
        person.gender_concept_id,
        person.year_of_birth,
        coalesce(person.month_of_birth, 7) as month_of_birth,
        coalesce(
            person.day_of_birth,
            case when person.month_of_birth is null then 1 else 15 end
        ) as day_of_birth,

    from clean.person

),

described as (

    select
        row_number() over (order by members.population_id, members.person_id) as index_id,
        members.population_id::integer as population_id,
        members.person_id,
        members.time_zero_date,
        born.site_id,
        born.gender_concept_id,
        year(members.time_zero_date) - born.year_of_birth as age_years,
        year(members.time_zero_date) - born.year_of_birth - (
            month(members.time_zero_date) * 100 + day(members.time_zero_date)
            < born.month_of_birth * 100 + born.day_of_birth
        )::integer as age_exact_years,

    from members

    inner join born
        on members.person_id = born.person_id

    order by members.population_id, members.person_id

)

select * from described
