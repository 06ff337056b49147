-- cohort.population
-- Grain:   one row per population of the design and person of the study who belongs to it.
-- Reads:   cohort.subject, cohort.entry_index, cohort.population_met
-- Notes:   judged at time zero of the arm in which the person is followed.
with

members as (

    select
        population_met.population_id,
        subject.person_id,

    from cohort.subject

    inner join cohort.entry_index
        on subject.person_id = entry_index.person_id
        and subject.arm = entry_index.arm

    inner join cohort.population_met
        on entry_index.index_id = population_met.index_id

    order by population_met.population_id, subject.person_id

)

select * from members
