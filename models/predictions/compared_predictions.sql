-- The user's predictions beside ours and the baselines', where all of them have a
-- value and the outcome is known. Tiers are cut by version 1 of the features, whatever
-- a model learnt from.
with

history as (
    select * from {{ ref('stg_prediction_history') }}
    where not is_voided
),

logged as (
    select
        model_id,
        mode as evidence,
        game_id,
        player_lookup,
        predicted_points,
        row_number() over (
            partition by model_id, mode, game_id, player_lookup
            order by predicted_at desc, prediction_id asc
        ) as recency
    from {{ ref('pregame_predictions') }}
),

forecasts as (
    select
        model_id,
        'test' as evidence,
        game_id,
        player_lookup,
        predicted_points
    from {{ ref('test_predictions') }}

    union all

    select
        model_id,
        evidence,
        game_id,
        player_lookup,
        predicted_points
    from logged
    where recency = 1
),

final as (
    select
        ---------- ids
        history.system_id,
        forecasts.model_id,
        forecasts.evidence,
        history.game_id,
        history.player_lookup,

        ---------- which population
        outcomes.game_date,
        outcomes.tier,
        history.is_graded_in_bulk,

        ---------- points
        outcomes.target_points as actual_points,
        history.actual_points as graded_points,
        history.predicted_points as system_points,
        forecasts.predicted_points as model_points,
        baselines.rule,
        baselines.last_5,
        baselines.last_10,
        baselines.season_average
    from history
    inner join forecasts
        on
            history.game_id = forecasts.game_id
            and history.player_lookup = forecasts.player_lookup
    inner join {{ ref('training_set', v=1) }} as outcomes
        on
            history.game_id = outcomes.game_id
            and history.player_lookup = outcomes.player_lookup
    inner join {{ ref('baseline_predictions') }} as baselines
        on
            history.game_id = baselines.game_id
            and history.player_lookup = baselines.player_lookup
    where
        forecasts.predicted_points is not null
        and baselines.rule is not null
        and baselines.last_5 is not null
        and baselines.last_10 is not null
        and baselines.season_average is not null
)

select * from final
