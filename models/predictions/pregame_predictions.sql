-- Logged predictions that are forecasts.
with

-- before tip-off; without its time until 16:00 UTC, 11 or 12 on the east coast.
-- A replay by a model that was trained at a later clock is no evidence: that model
-- may have learnt from the game.
final as (
    select
        predictions.*,
        -- of several by one model in one part the last counts: from 1
        row_number() over (
            partition by
                predictions.model_id,
                predictions.variant,
                predictions.mode,
                predictions.game_id,
                predictions.player_lookup
            order by predictions.predicted_at desc, predictions.prediction_id asc
        ) as recency
    from {{ ref('prediction_log') }} as predictions
    inner join {{ ref('stg_game_schedule') }} as games
        on predictions.game_id = games.game_id
    left join {{ ref('model_events') }} as trained
        on
            predictions.model_id = trained.model_id
            and trained.event_type = 'trained'
    where
        predictions.predicted_at < coalesce(
            games.tip_off_at,
            cast(
                {{ dbt.dateadd('hour', 16, 'cast(games.game_date as timestamp)') }}
                as timestamp
            )
        )
        and (
            predictions.mode = 'live'
            or (
                predictions.mode = 'replay'
                and predictions.predicted_at >= trained.as_of
            )
        )
)

select * from final
