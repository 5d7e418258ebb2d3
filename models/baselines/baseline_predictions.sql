-- Forecasts that need no training, for every row of the feature store: what a
-- model has to beat on the same rows. From version 1 for models of every version: the
-- rule needs its features, and what they are compared with must not move.
with

features as (
    select * from {{ ref('feature_store', v=1) }}
),

base as (
    select
        *,
        -- before the first game of a season the last ten games stand in for it
        coalesce(points_avg_season, points_avg_last_10) as season_average,
        0.35 * points_avg_last_5
        + 0.40 * points_avg_last_10
        + 0.25 * coalesce(points_avg_season, points_avg_last_10) as weighted_form
    from features
),

-- a missing input adjusts nothing; branches are read top to bottom
adjusted as (
    select
        *,
        case
            when fatigue_score < 40 then -3.0
            when fatigue_score < 55 then -2.0
            when fatigue_score < 70 then -1.2
            when fatigue_score < 80 then -0.5
            when fatigue_score > 90 then 0.8
            else 0
        end as fatigue_adjustment,
        0.35 * coalesce(shot_zone_mismatch_score, 0) as zone_adjustment,
        coalesce(pace_score, 0)
        * case when usage_rate_last_10 > 28 then 0.12 else 0.08 end
            as pace_adjustment,
        0.30 * coalesce(usage_spike_score, 0) as usage_adjustment,
        case
            when opponent_def_rating < 106 then -2.0
            when opponent_def_rating < 110 then -1.2
            when opponent_def_rating < 113 then -0.5
            when opponent_def_rating > 120 then 1.5
            when opponent_def_rating > 116 then 0.8
            else 0
        end as defence_adjustment,
        case when back_to_back = 1 then -2.5 else 0 end as rest_adjustment,
        case
            when is_home = 1 then 1.3
            when is_home = 0 then -0.6
            else 0
        end as venue_adjustment,
        case
            when minutes_avg_last_10 > 36 then 0.8
            when minutes_avg_last_10 >= 30 then 0.4
            when minutes_avg_last_10 < 25 then -1.2
            else 0
        end as minutes_adjustment,
        case
            when paint_rate_last_10 > 40 and opponent_def_rating > 110
                then
                    least(
                        (paint_rate_last_10 - 40) / 10
                        * (opponent_def_rating - 110) / 5
                        * 0.4,
                        1.5
                    )
            when three_pt_rate_last_10 > 40 and opponent_def_rating < 110
                then -0.5
            else 0
        end as shot_profile_adjustment
    from base
),

final as (
    select
        game_id,
        player_lookup,
        game_date,
        {{ clamp(
            'weighted_form + fatigue_adjustment + zone_adjustment'
            ' + pace_adjustment + usage_adjustment + defence_adjustment'
            ' + rest_adjustment + venue_adjustment + minutes_adjustment'
            ' + shot_profile_adjustment',
            0, 60
        ) }} as rule,
        points_avg_last_5 as last_5,
        points_avg_last_10 as last_10,
        season_average
    from adjusted
)

select * from final
