{#- The last game of this season of each sampled player's team in the oracle tests, as CTEs
    that come after oracle_history: `last_games`, and `asked`, the team-games whose
    rotations the features follow from: tonight, and the last game as it was before it. -#}
{% macro oracle_last_games() -%}
team_games_before as (
    select
        targets.game_id as target_game_id,
        targets.season_year as target_season,
        team_games.*,
        row_number() over (
            partition by targets.player_lookup, targets.game_id
            order by team_games.game_day desc
        ) as games_back
    from targets
    inner join team_games
        on
            targets.team_abbr = team_games.team_abbr
            and targets.game_day > team_games.game_day
),

last_games as (
    select distinct
        target_game_id,
        game_id,
        team_abbr,
        season_year,
        game_day
    from team_games_before
    where
        games_back = 1
        and season_year = target_season
),

asked as (
    select
        game_id,
        team_abbr,
        season_year,
        game_day
    from targets
    union distinct
    select
        game_id,
        team_abbr,
        season_year,
        game_day
    from last_games
)
{%- endmacro %}
