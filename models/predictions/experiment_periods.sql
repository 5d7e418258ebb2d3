-- When did a challenger stand beside a production model? started_at <= T and
-- (ended_at is null or T < ended_at).
with

transitions as (
    select
        event_id,
        model_id,
        status,
        event_at,
        lead(event_at) over (
            partition by model_id
            order by event_at, event_sequence, event_id
        ) as next_at
    from {{ ref('model_transitions') }}
),

challengers as (
    select
        transitions.model_id,
        transitions.event_at as staged_at,
        transitions.next_at as left_at,
        {{ json_item('events.details', 'traffic_split') }} as traffic_split
    from transitions
    inner join {{ ref('model_events') }} as events
        on transitions.event_id = events.event_id
    where transitions.status = 'staging'
),

spans as (
    select
        live.model_id as production_model_id,
        challengers.model_id as staging_model_id,
        greatest(live.live_from, challengers.staged_at) as started_at,
        case
            when live.live_until is null then challengers.left_at
            when challengers.left_at is null then live.live_until
            else least(live.live_until, challengers.left_at)
        end as ended_at,
        {{ dbt.safe_cast('challengers.traffic_split', dbt.type_float()) }}
            as traffic_split
    from challengers
    cross join {{ ref('model_live_periods') }} as live
),

final as (
    select * from spans
    where
        ended_at is null
        or started_at < ended_at
)

select * from final
