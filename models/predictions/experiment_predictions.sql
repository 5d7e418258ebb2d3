-- What the champion and its challenger predicted while both were live, and what came
-- of it.
with

logged as (
    select
        periods.production_model_id,
        periods.staging_model_id,
        predictions.mode,
        predictions.variant,
        predictions.game_id,
        predictions.player_lookup,
        predictions.predicted_points,
        row_number() over (
            partition by
                periods.production_model_id,
                periods.staging_model_id,
                predictions.mode,
                predictions.variant,
                predictions.game_id,
                predictions.player_lookup
            order by predictions.predicted_at desc, predictions.prediction_id asc
        ) as recency
    from {{ ref('pregame_predictions') }} as predictions
    inner join {{ ref('experiment_periods') }} as periods
        on
            predictions.model_id = case predictions.variant
                when 'production' then periods.production_model_id
                when 'staging' then periods.staging_model_id
            end
            and predictions.predicted_at >= periods.started_at
            and (
                periods.ended_at is null
                or predictions.predicted_at < periods.ended_at
            )
),

-- both variants side by side
forecasts as (
    select
        production_model_id,
        staging_model_id,
        mode,
        game_id,
        player_lookup,
        max(case when variant = 'production' then predicted_points end)
            as production_points,
        max(case when variant = 'staging' then predicted_points end)
            as staging_points
    from logged
    where recency = 1
    group by
        production_model_id,
        staging_model_id,
        mode,
        game_id,
        player_lookup
),

-- who did not play is void
outcomes as (
    select * from {{ ref('stg_player_game_summary') }}
    where
        is_played
        and not is_partial
),

final as (
    select
        ---------- ids
        forecasts.production_model_id,
        forecasts.staging_model_id,
        forecasts.mode,
        case
            when
                forecasts.production_points is not null
                and forecasts.staging_points is not null
                then 'shadow'
            else 'split'
        end as kind,
        forecasts.game_id,
        forecasts.player_lookup,
        outcomes.game_date,

        ---------- points
        outcomes.points as actual_points,
        forecasts.production_points,
        forecasts.staging_points
    from forecasts
    inner join outcomes
        on
            forecasts.game_id = outcomes.game_id
            and forecasts.player_lookup = outcomes.player_lookup
)

select * from final
