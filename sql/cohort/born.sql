-- cohort.born
-- Grain:   one row per person: sex, year of birth, and the day of birth as far as it is known.
-- Reads:   clean.person
-- Notes:   an unknown month counts as the 1st of July, an unknown day as the 15th of its month; a
--          day that its month does not have, as the last that it has.
with

known as (

    select
        person.person_id,
        person.site_id,
        person.gender_concept_id,
        person.year_of_birth,
        coalesce(person.month_of_birth, month(person.birth_datetime)) as month_of_birth,
        coalesce(person.day_of_birth, day(person.birth_datetime)) as day_of_birth,

    from clean.person

),

completed as (

    select
        known.person_id,
        known.site_id,
        known.gender_concept_id,
        known.year_of_birth,
        make_date(known.year_of_birth, coalesce(known.month_of_birth, 7), 1) as month_start_date,
        case when known.month_of_birth is null then 1 else coalesce(known.day_of_birth, 15) end
            as day_of_birth,

    from known

),

born as (

    select
        completed.person_id,
        completed.site_id,
        completed.gender_concept_id,
        completed.year_of_birth,
        completed.month_start_date
        + least(completed.day_of_birth, day(last_day(completed.month_start_date)))::integer - 1
            as birth_date,

    from completed

)

select * from born
