-- How fast and how reliably predictions were answered on each day. Percentiles are by
-- rank, so that both engines agree.
{%- set float = dbt.type_float() %}
with

-- who asks wrongly says nothing about us
requests as (
    select
        model_id,
        cast(requested_at as date) as day,
        status,
        latency_ms
    from {{ ref('request_log') }}
    where
        route in ('/predict', '/predict/slate')
        and (status = 200 or status >= 500)
),

ranked as (
    select
        *,
        latency_ms as feature_value,
        row_number() over (
            partition by model_id, day
            order by latency_ms
        ) as value_rank,
        count(*) over (partition by model_id, day) as value_count
    from requests
),

final as (
    select
        ranked.model_id,
        ranked.day,
        count(*) as requests,
        sum(case when ranked.status >= 500 then 1 else 0 end) as failed,
        sum(case when ranked.status >= 500 then 1 else 0 end)
        / cast(count(*) as {{ float }}) as failed_share,
        sum(case when ranked.latency_ms > 100 then 1 else 0 end) as slow,
        sum(case when ranked.latency_ms > 100 then 1 else 0 end)
        / cast(count(*) as {{ float }}) as slow_share,
        {{ percentile_by_rank(50) }} as latency_p50_ms,
        {{ percentile_by_rank(95) }} as latency_p95_ms,
        {{ percentile_by_rank(99) }} as latency_p99_ms
    from ranked
    group by ranked.model_id, ranked.day
)

select * from final
