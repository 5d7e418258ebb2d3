-- Is the model in production degraded? What it served since it went live, beside the
-- limits of the seed watch_limits.
{%- set float = dbt.type_float() %}
with

-- The champion is the model that a promotion replaced. A rollback replaces a model that
-- failed, which is no measure.
productions as (
    select
        model_id,
        event_at as live_from,
        recency,
        case
            when event_type = 'promoted'
                then
                    lag(model_id) over (order by event_at, event_sequence, event_id)
        end as champion_id
    from {{ ref('model_transitions') }}
    where status = 'production'
),

live as (
    select
        model_id,
        live_from,
        champion_id
    from productions
    where recency = 1
),

-- since then; by the time of the request, since what a replay predicts bears the time
-- of its features
answered as (
    select
        live.model_id,
        requests.request_id,
        requests.status,
        requests.latency_ms
    from live
    inner join {{ ref('request_log') }} as requests
        on
            live.model_id = requests.model_id
            and live.live_from <= requests.requested_at
    -- who asks wrongly says nothing about the model
    where
        requests.route in ('/predict', '/predict/slate')
        and (requests.status = 200 or requests.status >= 500)
),

requests as (
    select
        model_id,
        count(*) as n,
        sum(case when status >= 500 then 1 else 0 end) as failed,
        sum(case when latency_ms > 100 then 1 else 0 end) as slow
    from answered
    group by model_id
),

served as (
    select predictions.* from answered
    inner join {{ ref('prediction_log') }} as predictions
        on
            answered.request_id = predictions.request_id
            and answered.model_id = predictions.model_id
    where
        predictions.variant = 'production'
        and predictions.mode in ('live', 'replay')
),

-- those that parity_mismatches looks at
compared_with_store as (
    select
        served.model_id,
        count(distinct served.prediction_id) as n,
        count(mismatches.prediction_id) as mismatch_count
    from served
    inner join {{ ref('build_info') }} as build
        on served.dbt_invocation_id = build.dbt_invocation_id
    left join {{ ref('parity_mismatches') }} as mismatches
        on served.prediction_id = mismatches.prediction_id
    group by served.model_id
),

-- whatever part the champion had then: it may have answered before, or as a shadow.
-- From the same build, which both know the same by, whatever their feature versions
of_champion as (
    select
        live.model_id,
        predictions.game_id,
        predictions.player_lookup,
        predictions.dbt_invocation_id,
        predictions.predicted_points,
        row_number() over (
            partition by
                live.model_id,
                predictions.game_id,
                predictions.player_lookup,
                predictions.dbt_invocation_id
            order by predictions.predicted_at desc, predictions.prediction_id asc
        ) as recency
    from live
    inner join {{ ref('prediction_log') }} as predictions
        on live.champion_id = predictions.model_id
),

compared_with_champion as (
    select
        served.model_id,
        count(*) as n,
        {{ exact_mean('abs(served.predicted_points - of_champion.predicted_points)') }}
            as mean_difference
    from served
    inner join of_champion
        on
            served.model_id = of_champion.model_id
            and served.game_id = of_champion.game_id
            and served.player_lookup = of_champion.player_lookup
            and served.dbt_invocation_id = of_champion.dbt_invocation_id
    where of_champion.recency = 1
    group by served.model_id
),

measured as (
    select
        live.model_id,
        live.live_from,
        limits.*,
        case limits.metric
            when 'failed_share'
                then cast(requests.failed as {{ float }}) / requests.n
            when 'slow_share' then cast(requests.slow as {{ float }}) / requests.n
            when 'mismatch_count' then compared_with_store.mismatch_count
            when 'mean_difference' then compared_with_champion.mean_difference
        end as value,
        case
            when limits.metric in ('failed_share', 'slow_share') then 'requests'
            else 'predictions'
        end as unit,
        coalesce(
            case limits.metric
                when 'failed_share' then requests.n
                when 'slow_share' then requests.n
                when 'mismatch_count' then compared_with_store.n
                when 'mean_difference' then compared_with_champion.n
            end,
            0
        ) as n,
        limits.metric = 'mean_difference'
        and live.champion_id is null as has_no_champion
    from live
    cross join {{ ref('watch_limits') }} as limits
    left join requests
        on live.model_id = requests.model_id
    left join compared_with_store
        on live.model_id = compared_with_store.model_id
    left join compared_with_champion
        on live.model_id = compared_with_champion.model_id
),

-- a count only grows: above its limit it has failed, however few the rows
judged as (
    select
        *,
        case
            when has_no_champion then true
            when metric = 'mismatch_count' and value > limit_value then false
            when n < min_rows then null
            when comparison = 'at_most' then value <= limit_value
        end as has_passed
    from measured
),

final as (
    select
        model_id,
        live_from,
        check_name,
        value,
        comparison,
        limit_value,
        n,
        min_rows,
        has_passed,
        case
            when has_no_champion
                then 'Passed: there is no model that a promotion replaced by this one.'
            when has_passed is null
                then
                    concat(
                        'Not decided: ', cast(n as string), ' ', unit,
                        ', and it takes ', cast(min_rows as string), '.'
                    )
            else
                concat(
                    case when has_passed then 'Passed: ' else 'Failed: ' end,
                    replace(metric, '_', ' '), ' is ', {{ number_text('value') }},
                    ' on ', cast(n as string), ' ', unit,
                    ', and must be ', replace(comparison, '_', ' '), ' ',
                    {{ number_text('limit_value') }}, '.'
                )
        end as explanation,
        reason
    from judged
)

select * from final
