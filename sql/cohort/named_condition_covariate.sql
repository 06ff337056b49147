-- cohort.named_condition_covariate
-- Grain:   one row per person and code list with a record in the window before time zero.
-- Reads:   cohort.subject, cohort.code_list, clean.condition_occurrence
-- Params:  $window_start_days, $window_end_days (days relative to time zero, both negative),
--          $covariate_lists (list of code list ids), $min_share (0 to 0.5)
-- Notes:   code lists that fewer than `min_share`, or more than 1 - `min_share`, of the people
--          have are left out: they cannot tell the arms apart.
with

recorded as (

    select distinct
        subject.person_id,
        code_list.code_list_id,

    from cohort.subject

    inner join clean.condition_occurrence
        on subject.person_id = condition_occurrence.person_id
        and condition_occurrence.condition_start_date
            between subject.time_zero_date + $window_start_days::integer
            and subject.time_zero_date + $window_end_days::integer

    inner join cohort.code_list
        on condition_occurrence.condition_concept_id = code_list.concept_id
        and list_contains($covariate_lists::varchar[], code_list.code_list_id)

),

shares as (

    select
        recorded.code_list_id,
        count(*) / (select count(*) from cohort.subject) as share,

    from recorded

    group by recorded.code_list_id

),

kept as (

    select
        recorded.person_id,
        recorded.code_list_id,

    from recorded

    inner join shares
        on recorded.code_list_id = shares.code_list_id

    where shares.share between $min_share and 1 - $min_share

    order by recorded.code_list_id, recorded.person_id

)

select * from kept
