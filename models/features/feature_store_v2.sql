-- The feature store, version 2, of every played and upcoming game, each feature known
-- before tip-off.
{%- set features = features_of(2) %}
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
        sources.availability_source,

        ---------- performance
        form.points_avg_last_5,
        form.points_avg_last_10,
        form.points_avg_last_20,
        form.points_avg_last_40,
        form.points_avg_season,
        averages.points_ewma_5,
        averages.points_ewma_12,
        averages.points_ewma_30,
        form.points_per_minute_season,
        form.points_per_minute_last_100,
        averages.points_per_minute_ewma_30,

        ---------- opportunity
        form.minutes_last_game,
        form.minutes_avg_last_3,
        form.minutes_avg_last_10,
        form.minutes_avg_season,
        averages.minutes_ewma_2,
        coalesce(rest.minutes_in_last_7_days, 0) as minutes_in_last_7_days,
        form.fg_attempts_avg_last_5,
        form.fg_attempts_avg_last_10,
        form.ft_attempts_avg_last_10,
        form.usage_rate_last_5,
        form.usage_rate_season,
        averages.usage_rate_ewma_12,

        ---------- history with the team
        team_history.games_played_season,
        team_history.games_with_team,
        team_history.team_games_missed,
        last_lineup.played_last_team_game,
        last_lineup.points_share_last_lineup,
        last_lineup_form.last_lineup_likeness,
        last_lineup_form.points_avg_last_lineup,
        last_lineup_form.fg_attempts_avg_last_lineup,
        last_lineup_form.minutes_avg_last_lineup,

        ---------- context
        context.is_home,
        rest.days_rest,
        rest.back_to_back,
        context.opponent_def_rating,
        context.opponent_pace,
        context.team_pace_last_10,
        context.team_off_rating_last_10,
        context.opponent_net_rating_ewma_20,

        ---------- depth chart of tonight
        roles.minutes_share,
        roles.attempts_share,
        roles.points_share,
        roles.points_rank,
        roles.minutes_above,
        roles.points_above,
        roles.attempts_of_others,
        roles.points_of_others,

        ---------- who is missing tonight
        absences.present_points,
        absences.absent_minutes,
        absences.absent_attempts,
        absences.absent_points,
        absences.newly_absent_points,

        ---------- change of load
        roles.minutes_above_change,
        roles.minutes_rank_change,
        roles.minutes_share_change,
        roles.points_of_others_change,

        ---------- games with a line-up like tonight's
        lineup_form.similar_lineup_games,
        lineup_form.lineup_likeness,
        lineup_form.points_avg_similar_lineups,
        lineup_form.fg_attempts_avg_similar_lineups,
        lineup_form.minutes_avg_similar_lineups,
        lineup_form.usage_rate_similar_lineups

    from player_games
    inner join {{ ref('int_player_form') }} as form
        on
            player_games.player_lookup = form.player_lookup
            and player_games.game_id = form.game_id
    inner join {{ ref('int_player_rest') }} as rest
        on
            player_games.player_lookup = rest.player_lookup
            and player_games.game_id = rest.game_id
    inner join {{ ref('int_game_context') }} as context
        on
            player_games.game_id = context.game_id
            and player_games.team_abbr = context.team_abbr
    inner join {{ ref('int_composite_factors') }} as composite
        on
            player_games.player_lookup = composite.player_lookup
            and player_games.game_id = composite.game_id
    inner join {{ ref('int_player_averages') }} as averages
        on
            player_games.player_lookup = averages.player_lookup
            and player_games.game_id = averages.game_id
    inner join {{ ref('int_player_team_history') }} as team_history
        on
            player_games.player_lookup = team_history.player_lookup
            and player_games.game_id = team_history.game_id
    inner join {{ ref('int_player_last_lineup') }} as last_lineup
        on
            player_games.player_lookup = last_lineup.player_lookup
            and player_games.game_id = last_lineup.game_id
    left join {{ ref('int_player_last_lineup_form') }} as last_lineup_form
        on
            player_games.player_lookup = last_lineup_form.player_lookup
            and player_games.game_id = last_lineup_form.game_id
    inner join {{ ref('int_availability_sources') }} as sources
        on
            player_games.team_abbr = sources.team_abbr
            and player_games.game_id = sources.game_id
    left join {{ ref('int_team_absences') }} as absences
        on
            player_games.team_abbr = absences.team_abbr
            and player_games.game_id = absences.game_id
    left join {{ ref('int_player_roles') }} as roles
        on
            player_games.player_lookup = roles.player_lookup
            and player_games.game_id = roles.game_id
    left join {{ ref('int_player_lineup_form') }} as lineup_form
        on
            player_games.player_lookup = lineup_form.player_lookup
            and player_games.game_id = lineup_form.game_id
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
        'v2' as feature_version,
        is_scheduled,
        cast(games_played_prior as int64) as games_played_prior,

        ---------- quality
        cast(missing_feature_count as int64) as missing_feature_count,
        1
        - missing_feature_count
        / cast({{ features | length }} as {{ dbt.type_float() }})
            as feature_quality_score,
        composite_source,
        availability_source,

        ---------- features
        {{ cast_features(features) | indent(8) }}
    from counted
)

select * from final
