-- Which model served at time T: live_from <= T and (live_until is null or T <
-- live_until).
with

transitions as (
    select * from {{ ref('model_transitions') }}
),

-- a model stops being live when it leaves production itself
own_next as (
    select
        model_id,
        status,
        event_at,
        event_sequence,
        event_id,
        lead(event_at) over (
            partition by model_id
            order by event_at, event_sequence, event_id
        ) as own_next_at
    from transitions
),

-- or when another takes its place, should its own retirement be missing
takeovers as (
    select
        model_id,
        event_at as live_from,
        own_next_at,
        lead(event_at) over (
            order by event_at, event_sequence, event_id
        ) as taken_over_at
    from own_next
    where status = 'production'
),

periods as (
    select
        model_id,
        live_from,
        case
            when own_next_at is null then taken_over_at
            when taken_over_at is null then own_next_at
            else least(own_next_at, taken_over_at)
        end as live_until
    from takeovers
),

-- with a clock that stands still one was replaced at once: it served at no time
final as (
    select * from periods
    where
        live_until is null
        or live_from < live_until
)

select * from final
