-- cohort.entry
-- Grain:   one row per person: the day of the image, and the arm in which it was read.
-- Reads:   cohort.first_image
-- Params:  $shown_arm, $not_shown_arm (arm ids)
-- Notes:   a person enters once, so nobody is in both arms; entry starts and ends on that day.
with

entries as (

    select
        first_image.person_id,
        case when first_image.is_shown then $shown_arm else $not_shown_arm end as arm,
        first_image.image_date as entry_start_date,
        first_image.image_date as entry_end_date,

    from cohort.first_image

)

select * from entries
