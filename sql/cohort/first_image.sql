-- cohort.first_image
-- Grain:   one row per person: the first image of the code list within enrolment.
-- Reads:   clean.procedure_occurrence, clean.device_inference, cohort.code_list
-- Params:  $image (code list id), $enrolment_start, $enrolment_end (dates, both included),
--          $udi_di (the device), $versions (list of model versions; all when empty)
-- Notes:   an image is matched to what the device did with the person's images of that day: those
--          of the same visit first; else those whose visit holds no other of the person's images.
--          Of several imaging studies the first is taken; its output was shown when any run was.
--          An image that the device never read, or read in silence, was not shown.
--          Limits: two imaging studies in one visit of one day are not told apart; output of
--          other devices, and of versions that the study does not name, counts as not shown.
with

images as (

    select
        procedure_occurrence.person_id,
        procedure_occurrence.procedure_date as image_date,
        procedure_occurrence.procedure_datetime,
        procedure_occurrence.visit_occurrence_id,
        procedure_occurrence.procedure_occurrence_id,

    from clean.procedure_occurrence

    inner join cohort.code_list
        on procedure_occurrence.procedure_concept_id = code_list.concept_id
        and code_list.code_list_id = $image

    where procedure_occurrence.procedure_date
        between $enrolment_start::date and $enrolment_end::date

),

first_images as (

    select
        images.person_id,
        images.image_date,
        images.visit_occurrence_id,

    from images

    qualify row_number() over (
        partition by images.person_id
        order by
            images.image_date,
            images.procedure_datetime nulls last,
            images.procedure_occurrence_id
    ) = 1

),

imaged_visits as (

    select distinct
        images.person_id,
        images.image_date,
        images.visit_occurrence_id,

    from images

    where images.visit_occurrence_id is not null

),

matched as (

    select
        first_images.person_id,
        imaged_visits.visit_occurrence_id is not null as is_same_visit,
        device_inference.study_id,
        device_inference.acquisition_datetime,
        device_inference.shown,

    from first_images

    inner join clean.device_inference
        on first_images.person_id = device_inference.person_id
        and first_images.image_date = device_inference.acquisition_datetime::date
        and device_inference.udi_di = $udi_di
        and (
            len($versions::varchar[]) = 0
            or list_contains($versions::varchar[], device_inference.model_version)
        )

    left join imaged_visits
        on first_images.person_id = imaged_visits.person_id
        and first_images.image_date = imaged_visits.image_date
        and device_inference.visit_occurrence_id = imaged_visits.visit_occurrence_id

    where imaged_visits.visit_occurrence_id is null
        or imaged_visits.visit_occurrence_id = first_images.visit_occurrence_id

),

first_study as (

    select
        matched.person_id,
        bool_or(matched.shown) as is_shown,

    from matched

    group by matched.person_id, matched.study_id

    qualify row_number() over (
        partition by matched.person_id
        order by
            bool_or(matched.is_same_visit) desc,
            min(matched.acquisition_datetime),
            matched.study_id
    ) = 1

),

judged as (

    select
        first_images.person_id,
        first_images.image_date,
        coalesce(first_study.is_shown, false) as is_shown,

    from first_images

    left join first_study
        on first_images.person_id = first_study.person_id

)

select * from judged
