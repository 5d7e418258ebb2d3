-- The feature store, version 2, of every played and upcoming game, each feature known
-- before tip-off.
{%- set features = features_of(2) %}
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

-- a report speaks for one team in one game
reports as (
    select distinct
        game_id,
        team_abbr
    from {{ ref('stg_player_availability') }}
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
        case
            when not player_games.is_scheduled then 'box_score'
            when reports.game_id is not null then 'report'
            else 'none'
        end as availability_source,

        ---------- performance
        form.points_avg_last_5,
        form.points_avg_last_10,
        form.points_avg_season,
        form.minutes_avg_last_10,
        form.points_avg_last_20,

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
    inner join {{ ref('int_game_context') }} as context
        on
            player_games.game_id = context.game_id
            and player_games.team_abbr = context.team_abbr
    inner join {{ ref('int_composite_factors') }} as composite
        on
            player_games.player_lookup = composite.player_lookup
            and player_games.game_id = composite.game_id
    left join reports
        on
            player_games.game_id = reports.game_id
            and player_games.team_abbr = reports.team_abbr
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
