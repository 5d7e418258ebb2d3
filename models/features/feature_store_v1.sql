-- The feature store, version 1: 25 features of every played and upcoming game,
-- each known before tip-off.
{%- set features = features_of(1) %}
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

features as (
    select
        player_games.player_lookup,
        player_games.game_id,
        player_games.game_date,
        player_games.season_year,
        player_games.season_type,
        player_games.team_abbr,
        player_games.opponent_team_abbr,
        player_games.is_scheduled,
        player_games.games_played_prior,
        composite.composite_source,

        ---------- performance
        form.points_avg_last_5,
        form.points_avg_last_10,
        form.points_avg_season,
        form.points_std_last_10,
        form.minutes_avg_last_10,
        form.usage_rate_last_10,
        form.points_per_minute_last_10,
        form.momentum_score,

        ---------- workload and history
        rest.games_in_last_7_days,
        form.matchup_history_score,

        ---------- composite
        composite.fatigue_score,
        composite.shot_zone_mismatch_score,
        composite.pace_score,
        composite.usage_spike_score,

        ---------- shot selection
        shots.paint_rate_last_10,
        shots.mid_range_rate_last_10,
        shots.three_pt_rate_last_10,
        shots.assisted_rate_last_10,

        ---------- context
        context.is_home,
        rest.days_rest,
        rest.back_to_back,
        context.opponent_def_rating,
        context.opponent_pace,
        context.team_pace_last_10,
        context.team_off_rating_last_10

    from player_games
    inner join {{ ref('int_player_form') }} as form
        on
            player_games.player_lookup = form.player_lookup
            and player_games.game_id = form.game_id
    inner join {{ ref('int_player_rest') }} as rest
        on
            player_games.player_lookup = rest.player_lookup
            and player_games.game_id = rest.game_id
    inner join {{ ref('int_player_shot_profile') }} as shots
        on
            player_games.player_lookup = shots.player_lookup
            and player_games.game_id = shots.game_id
    inner join {{ ref('int_game_context') }} as context
        on
            player_games.game_id = context.game_id
            and player_games.team_abbr = context.team_abbr
    inner join {{ ref('int_composite_factors') }} as composite
        on
            player_games.player_lookup = composite.player_lookup
            and player_games.game_id = composite.game_id
),

counted as (
    select
        *,
        {{ count_missing(features) }} as missing_feature_count
    from features
),

final as (
    select
        ---------- ids
        cast(player_lookup as string) as player_lookup,
        cast(game_id as string) as game_id,
        game_date,
        season_year,
        season_type,
        team_abbr,
        opponent_team_abbr,
        'v1' as feature_version,
        is_scheduled,
        cast(games_played_prior as int64) as games_played_prior,

        ---------- quality
        cast(missing_feature_count as int64) as missing_feature_count,
        1
        - missing_feature_count
        / cast({{ features | length }} as {{ dbt.type_float() }})
            as feature_quality_score,
        composite_source,

        ---------- features
        {{ cast_features(features) | indent(8) }}
    from counted
)

select * from final
