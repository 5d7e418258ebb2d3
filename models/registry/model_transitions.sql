-- What each event made of its model, and what it was before.
with

events as (
    select
        event_id,
        event_type,
        event_at,
        event_sequence,
        model_id,
        case event_type
            when 'trained' then 'training'
            when 'staged' then 'staging'
            when 'promoted' then 'production'
            when 'rolled_back' then 'production'
            when 'retired' then 'retired'
        end as status
    from {{ ref('model_events') }}
    where event_type != 'deploy_step'
),

ordered as (
    select
        *,
        lag(status) over (
            partition by model_id
            order by event_at, event_sequence, event_id
        ) as previous_status,
        row_number() over (
            partition by model_id
            order by event_at desc, event_sequence desc, event_id desc
        ) as recency
    from events
),

final as (
    select
        *,
        case event_type
            when 'trained' then previous_status is null
            -- again in staging: with another share of the players
            when 'staged'
                then coalesce(previous_status, '') in ('training', 'staging')
            when 'promoted' then coalesce(previous_status, '') = 'staging'
            when 'rolled_back' then coalesce(previous_status, '') = 'retired'
            when 'retired'
                then coalesce(previous_status, '') in ('staging', 'production')
            else false
        end as is_allowed
    from ordered
)

select * from final
