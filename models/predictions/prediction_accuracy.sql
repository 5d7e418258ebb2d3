-- What came of each forecast of a game that is over.
with

-- the last word of a model in each of its parts
forecasts as (
    select * from {{ ref('pregame_predictions') }}
    where recency = 1
),

games as (
    select * from {{ ref('stg_game_schedule') }}
    where not is_scheduled
),

box_scores as (
    select * from {{ ref('stg_player_game_summary') }}
),

games_with_box_scores as (
    select distinct game_id from box_scores
),

judged as (
    select
        forecasts.*,
        games.season_year,
        case
            when games_with_box_scores.game_id is null then 'no_box_score'
            -- who is not in the box score was not on the floor
            when not coalesce(box_scores.is_played, false) then 'did_not_play'
            when box_scores.is_partial then 'partial_game'
        end as void_reason,
        case
            when box_scores.is_played and not box_scores.is_partial
                then box_scores.points
        end as actual_points
    from forecasts
    inner join games
        on forecasts.game_id = games.game_id
    left join games_with_box_scores
        on forecasts.game_id = games_with_box_scores.game_id
    left join box_scores
        on
            forecasts.game_id = box_scores.game_id
            and forecasts.player_lookup = box_scores.player_lookup
),

final as (
    select
        ---------- ids
        judged.prediction_id,
        judged.model_id,
        judged.variant,
        judged.mode,
        judged.game_id,
        judged.player_lookup,

        ---------- when, and in what circumstances: all known before the game
        judged.game_date,
        judged.season_year,
        phases.season_phase,
        {{ pregame_tier(
            'coalesce(features.points_avg_season, features.points_avg_last_10)'
        ) }} as tier,
        features.is_home,
        features.back_to_back,
        features.opponent_def_rating,
        features.minutes_avg_last_10,
        judged.predicted_at,

        ---------- points
        judged.predicted_points,
        judged.predicted_low,
        judged.predicted_high,
        judged.confidence,
        judged.actual_points,
        abs(judged.predicted_points - judged.actual_points) as absolute_error,
        judged.predicted_points - judged.actual_points as signed_error,
        abs(judged.predicted_points - judged.actual_points) <= 5 as was_correct,
        judged.actual_points between judged.predicted_low and judged.predicted_high
            as is_in_interval,

        ---------- what it takes to beat
        baselines.rule,
        baselines.last_5,
        baselines.last_10,
        baselines.season_average,

        ---------- void: no error can be measured
        judged.void_reason is not null as is_voided,
        judged.void_reason
    from judged
    left join {{ ref('season_phases') }} as phases
        on
            judged.season_year = phases.season_year
            and judged.game_date between phases.first_date and phases.last_date
    -- tiers and cohorts are cut by version 1, whatever a model was served: any two are
    -- compared on the same populations
    left join {{ ref('feature_store', v=1) }} as features
        on
            judged.game_id = features.game_id
            and judged.player_lookup = features.player_lookup
    left join {{ ref('baseline_predictions') }} as baselines
        on
            judged.game_id = baselines.game_id
            and judged.player_lookup = baselines.player_lookup
)

select * from final
