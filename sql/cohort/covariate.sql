-- cohort.covariate
-- Grain:   one row per person and population (index_id), covariate and level with a value.
-- Reads:   cohort.covariate_index, cohort.code_list, cohort.source_code, cohort.cohort,
--          clean.condition_occurrence,
--          clean.condition_era,
--          clean.drug_exposure,
--          clean.drug_era,
--          clean.procedure_occurrence,
--          clean.observation,
--          clean.device_exposure,
--          clean.measurement,
--          clean.visit_occurrence
-- Params:  $any_domains (tables of which every concept is asked for), $detail_domains (tables that
--          other requests read), $reads_source (whether codes of the source are read),
--          $first_day, $last_day (days relative to time zero that hold every window),
--          $request_ids, $covariate_ids, $request_domains, $first_days, $last_days, $list_ids,
--          $cohort_ids, $takes, $units, $levels, $min_shares, $max_shares, $weights, $not_beside
--          (lists of one length, an entry a request: what one covariate asks of one domain),
--          $excluding, $excluded (request and code list, lists of one length),
--          $prefix_requests, $prefixes (request and code in plain form, lists of one length)
-- Notes:   every covariate of every population in one pass: each domain is read once, cut to the
--          windows, then held against all requests. `takes` is any, count, last, mean, abnormal or
--          component. Level is the concept where a request has no code list, else its number. A
--          component counts its weight unless the graver one, `not_beside`, is there too.
--          Of several last values on one day that of the highest record id is taken. Levels that
--          too few, or too many, have are left out: of the study population by itself, of cohorts
--          when none of them has enough.
with

requests as (

    select
        unnest($request_ids::integer[]) as request_id,
        unnest($covariate_ids::varchar[]) as covariate_id,
        unnest($request_domains::varchar[]) as domain,
        unnest($first_days::integer[]) as first_day,
        unnest($last_days::integer[]) as last_day,
        unnest($list_ids::varchar[]) as list_id,
        unnest($cohort_ids::varchar[]) as cohort_id,
        unnest($takes::varchar[]) as takes,
        unnest($units::bigint[]) as unit_concept_id,
        unnest($levels::bigint[]) as level,
        unnest($min_shares::double[]) as min_share,
        unnest($max_shares::double[]) as max_share,
        unnest($weights::double[]) as weight,
        unnest($not_beside::bigint[]) as not_beside,

),

exclusions as (

    select distinct
        excluded.request_id,
        code_list.concept_id,

    from (
        select
            unnest($excluding::integer[]) as request_id,
            unnest($excluded::varchar[]) as code_list_id,
    ) as excluded

    inner join cohort.code_list
        on excluded.code_list_id = code_list.code_list_id

),

prefixes as (

    select
        unnest($prefix_requests::integer[]) as request_id,
        unnest($prefixes::varchar[]) as prefix,

),

events as not materialized (

    select
        'condition_occurrence' as domain,
        condition_occurrence.person_id,
        condition_occurrence.condition_occurrence_id as event_id,
        condition_occurrence.condition_start_date as event_date,
        condition_occurrence.condition_concept_id as concept_id,
        case when $reads_source then condition_occurrence.condition_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.condition_occurrence

    union all

    select
        'condition_era' as domain,
        condition_era.person_id,
        condition_era.condition_era_id as event_id,
        condition_era.condition_era_start_date as event_date,
        condition_era.condition_concept_id as concept_id,
        null::varchar as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.condition_era

    union all

    select
        'drug_exposure' as domain,
        drug_exposure.person_id,
        drug_exposure.drug_exposure_id as event_id,
        drug_exposure.drug_exposure_start_date as event_date,
        drug_exposure.drug_concept_id as concept_id,
        case when $reads_source then drug_exposure.drug_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.drug_exposure

    union all

    select
        'drug_era' as domain,
        drug_era.person_id,
        drug_era.drug_era_id as event_id,
        drug_era.drug_era_start_date as event_date,
        drug_era.drug_concept_id as concept_id,
        null::varchar as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.drug_era

    union all

    select
        'procedure_occurrence' as domain,
        procedure_occurrence.person_id,
        procedure_occurrence.procedure_occurrence_id as event_id,
        procedure_occurrence.procedure_date as event_date,
        procedure_occurrence.procedure_concept_id as concept_id,
        case when $reads_source then procedure_occurrence.procedure_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.procedure_occurrence

    union all

    select
        'observation' as domain,
        observation.person_id,
        observation.observation_id as event_id,
        observation.observation_date as event_date,
        observation.observation_concept_id as concept_id,
        case when $reads_source then observation.observation_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.observation

    union all

    select
        'device_exposure' as domain,
        device_exposure.person_id,
        device_exposure.device_exposure_id as event_id,
        device_exposure.device_exposure_start_date as event_date,
        device_exposure.device_concept_id as concept_id,
        case when $reads_source then device_exposure.device_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.device_exposure

    union all

    select
        'measurement' as domain,
        measurement.person_id,
        measurement.measurement_id as event_id,
        measurement.measurement_date as event_date,
        measurement.measurement_concept_id as concept_id,
        case when $reads_source then measurement.measurement_source_value end as source_code,
        measurement.value_as_number as amount,
        coalesce(measurement.unit_concept_id, 0) as unit_concept_id,
        measurement.range_low as range_low,
        measurement.range_high as range_high,

    from clean.measurement

    union all

    select
        'visit_occurrence' as domain,
        visit_occurrence.person_id,
        visit_occurrence.visit_occurrence_id as event_id,
        visit_occurrence.visit_start_date as event_date,
        visit_occurrence.visit_concept_id as concept_id,
        case when $reads_source then visit_occurrence.visit_source_value end as source_code,
        null::double as amount,
        null::bigint as unit_concept_id,
        null::double as range_low,
        null::double as range_high,

    from clean.visit_occurrence


),

near_any as (

    select
        covariate_index.index_id,
        covariate_index.population_id,
        events.domain,
        events.concept_id,
        events.event_date - covariate_index.time_zero_date as day,

    from cohort.covariate_index

    inner join events
        on covariate_index.person_id = events.person_id
        and events.event_date
            between covariate_index.time_zero_date + $first_day::integer
            and covariate_index.time_zero_date + $last_day::integer

    where list_contains($any_domains::varchar[], events.domain)

),

near as materialized (

    select
        covariate_index.index_id,
        covariate_index.population_id,
        events.* exclude (person_id, source_code),
        upper(replace(trim(events.source_code), '.', '')) as source_code,
        events.event_date - covariate_index.time_zero_date as day,

    from cohort.covariate_index

    inner join events
        on covariate_index.person_id = events.person_id
        and events.event_date
            between covariate_index.time_zero_date + $first_day::integer
            and covariate_index.time_zero_date + $last_day::integer

    where list_contains($detail_domains::varchar[], events.domain)

),

source_codes as (

    select distinct near.source_code

    from near

    where near.source_code <> ''

),

coded as (

    select distinct
        source_codes.source_code,
        prefixes.request_id,
        date '0001-01-01' as valid_from,
        date '9999-12-31' as valid_to,

    from source_codes

    inner join prefixes
        on starts_with(source_codes.source_code, prefixes.prefix)

    union all

    select distinct
        source_codes.source_code,
        requests.request_id,
        coalesce(source_code.valid_from, date '0001-01-01') as valid_from,
        coalesce(source_code.valid_to, date '9999-12-31') as valid_to,

    from source_codes

    inner join cohort.source_code
        on source_codes.source_code = source_code.code
        or (source_code.is_prefix and starts_with(source_codes.source_code, source_code.code))

    inner join requests
        on source_code.code_list_id = requests.list_id

),

any_concept as (

    select
        near_any.index_id,
        near_any.population_id,
        requests.request_id,
        near_any.concept_id as level,

    from near_any

    inner join requests
        on near_any.domain = requests.domain
        and near_any.day between requests.first_day and requests.last_day

    left join exclusions
        on requests.request_id = exclusions.request_id
        and near_any.concept_id = exclusions.concept_id

    where requests.level is null
        and requests.takes = 'any'
        and near_any.concept_id <> 0
        and exclusions.request_id is null

),

listed as (

    select
        near.* exclude (domain, unit_concept_id),
        near.unit_concept_id,
        requests.request_id,
        requests.level,
        requests.takes,

    from near

    inner join requests
        on near.domain = requests.domain
        and near.day between requests.first_day and requests.last_day

    inner join cohort.code_list
        on requests.list_id = code_list.code_list_id
        and near.concept_id = code_list.concept_id

    where requests.unit_concept_id is null or requests.unit_concept_id = near.unit_concept_id

    union all

    select
        near.* exclude (domain, unit_concept_id),
        near.unit_concept_id,
        requests.request_id,
        requests.level,
        requests.takes,

    from near

    inner join coded
        on near.source_code = coded.source_code
        and near.event_date between coded.valid_from and coded.valid_to

    inner join requests
        on coded.request_id = requests.request_id
        and near.domain = requests.domain
        and near.day between requests.first_day and requests.last_day

    where requests.unit_concept_id is null or requests.unit_concept_id = near.unit_concept_id

    union all

    select
        near.* exclude (domain, unit_concept_id),
        near.unit_concept_id,
        requests.request_id,
        requests.level,
        requests.takes,

    from near

    inner join requests
        on near.domain = requests.domain
        and near.day between requests.first_day and requests.last_day

    where requests.takes = 'count' and requests.list_id is null

    union all

    select
        near.* exclude (domain, unit_concept_id),
        near.unit_concept_id,
        requests.request_id,
        near.concept_id as level,
        requests.takes,

    from near

    inner join requests
        on near.domain = requests.domain
        and near.day between requests.first_day and requests.last_day

    where requests.level is null
        and requests.takes <> 'any'
        and near.concept_id <> 0
        and (requests.unit_concept_id is null or requests.unit_concept_id = near.unit_concept_id)

),

recorded as (

    select distinct
        found.index_id,
        found.population_id,
        found.request_id,
        found.level,

    from (
        select * from any_concept
        union all
        select
            listed.index_id,
            listed.population_id,
            listed.request_id,
            listed.level,
        from listed
        where listed.takes in ('any', 'component')
        union all
        select
            covariate_index.index_id,
            covariate_index.population_id,
            requests.request_id,
            requests.level,
        from cohort.covariate_index
        inner join cohort.cohort
            on covariate_index.person_id = cohort.person_id
        inner join requests
            on cohort.cohort_id = requests.cohort_id
            and cohort.start_date <= covariate_index.time_zero_date + requests.last_day
            and cohort.end_date >= covariate_index.time_zero_date + requests.first_day
    ) as found

),

counted as (

    select
        listed.index_id,
        listed.population_id,
        listed.request_id,
        listed.level,
        count(distinct listed.event_id)::double as value,

    from listed

    where listed.takes = 'count'

    group by
        listed.index_id,
        listed.population_id,
        listed.request_id,
        listed.level

),

measured as (

    select
        measurements.index_id,
        measurements.population_id,
        measurements.request_id,
        measurements.level,
        case measurements.takes
            when 'last' then arg_max(
                measurements.amount, (measurements.event_date, measurements.event_id)
            )
            when 'mean' then list_avg(list_sort(list(measurements.amount)))
            else max((
                coalesce(measurements.amount < measurements.range_low, false)
                or coalesce(measurements.amount > measurements.range_high, false)
            )::integer)::double
        end as value,

    from (select distinct * from listed) as measurements

    where measurements.takes in ('last', 'mean', 'abnormal')
        and measurements.amount is not null
        and (
            measurements.takes <> 'abnormal'
            or measurements.range_low is not null
            or measurements.range_high is not null
        )

    group by
        measurements.index_id,
        measurements.population_id,
        measurements.request_id,
        measurements.level,
        measurements.takes

),

scored as (

    select
        hit.index_id,
        hit.population_id,
        min(hit.request_id) as request_id,
        0 as level,
        sum(requests.weight) as value,

    from recorded as hit

    inner join requests
        on hit.request_id = requests.request_id
        and requests.takes = 'component'

    left join requests as graver_requests
        on requests.covariate_id = graver_requests.covariate_id
        and requests.not_beside = graver_requests.level

    left join recorded as graver
        on hit.index_id = graver.index_id
        and graver_requests.request_id = graver.request_id

    where graver.index_id is null

    group by hit.index_id, hit.population_id, requests.covariate_id

),

cells as materialized (

    select
        recorded.*,
        1.0::double as value,

    from recorded

    inner join requests
        on recorded.request_id = requests.request_id
        and requests.takes = 'any'

    union all

    select * from counted

    union all

    select * from measured

    union all

    select * from scored where scored.value <> 0

),

sizes as (

    select
        covariate_index.population_id,
        count(*) as persons,

    from cohort.covariate_index

    group by covariate_index.population_id

),

shares as (

    select
        cells.request_id,
        cells.level,
        cells.population_id > 0 as is_described,
        max(cells.persons / sizes.persons) as share,

    from (
        select
            cells.request_id,
            cells.level,
            cells.population_id,
            count(*) as persons,
        from cells
        group by cells.request_id, cells.level, cells.population_id
    ) as cells

    inner join sizes
        on cells.population_id = sizes.population_id

    group by cells.request_id, cells.level, cells.population_id > 0

),

kept as (

    select
        shares.request_id,
        shares.level,
        shares.is_described,
        requests.covariate_id,

    from shares

    inner join requests
        on shares.request_id = requests.request_id

    where shares.share >= requests.min_share
        and (shares.share <= requests.max_share or shares.is_described)

),

wide_enough as (

    select
        cells.index_id,
        cells.population_id,
        kept.covariate_id,
        cells.level,
        cells.value,

    from cells

    inner join kept
        on cells.request_id = kept.request_id
        and cells.level = kept.level
        and (cells.population_id > 0) = kept.is_described

)

select * from wide_enough
