-- What is expected of each player on the next date that has forecasts.
with

-- games of today count: the clock is before them
forecasts as (
    select
        predictions.*,
        min(predictions.game_date) over () as slate_date
    from {{ ref('pregame_predictions') }} as predictions
    inner join {{ ref('build_info') }} as builds
        on predictions.game_date >= builds.as_of_date
    where predictions.recency = 1
),

-- what the model in production says, else what was said last
ranked as (
    select
        forecasts.*,
        row_number() over (
            partition by
                forecasts.game_id,
                forecasts.player_lookup
            order by
                case models.status when 'production' then 1 else 2 end,
                case forecasts.variant when 'production' then 1 else 2 end,
                forecasts.predicted_at desc,
                forecasts.prediction_id asc
        ) as precedence
    from forecasts
    left join {{ ref('model_registry') }} as models
        on forecasts.model_id = models.model_id
    where forecasts.game_date = forecasts.slate_date
),

final as (
    select
        prediction_id,
        model_id,
        variant,
        mode,
        game_id,
        game_date,
        player_lookup,
        predicted_points,
        predicted_low,
        predicted_high,
        confidence,
        predicted_at
    from ranked
    where precedence = 1
)

select * from final
