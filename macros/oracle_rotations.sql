{#- The rotations of some team-games in the oracle tests, as CTEs that come after
    oracle_history and after `asked` (game_id, team_abbr, season_year, game_day), without
    duplicates. They end in `loads`, what each player who is there carries; `past`, the
    team's games before, numbered from the newest back; and `rotations`, who of 20
    minutes and more is there and who is missing, where that is known. -#}
{% macro oracle_rotations() -%}
-- who is there: who appeared; before the game, who is expected
line_ups as (
    select
        game_id,
        team_abbr,
        player_lookup
    from box_scores
    union all
    select
        game_id,
        team_abbr,
        player_lookup
    from stored
    where is_scheduled
),

-- of the others nobody has said who plays
known_games as (
    select
        game_id,
        team_abbr
    from box_scores
    union distinct
    select
        game_id,
        team_abbr
    from {{ ref('stg_player_availability') }}
),

past_of_players as (
    select
        asked.game_id,
        asked.team_abbr,
        line_ups.player_lookup,
        player_games.minutes,
        player_games.fg_attempts,
        player_games.points,
        row_number() over (
            partition by asked.game_id, line_ups.player_lookup
            order by player_games.game_day desc
        ) as games_back
    from asked
    inner join line_ups
        on
            asked.game_id = line_ups.game_id
            and asked.team_abbr = line_ups.team_abbr
    inner join player_games
        on
            line_ups.player_lookup = player_games.player_lookup
            and asked.game_day > player_games.game_day
),

loads as (
    select
        game_id,
        team_abbr,
        player_lookup,
        count(*) as games,
        {{ exact(oracle_mean('minutes', 5)) }} as minutes_load,
        {{ exact(oracle_mean('fg_attempts', 5)) }} as attempts_load,
        {{ exact(oracle_mean('points', 5)) }} as points_load
    from past_of_players
    group by game_id, team_abbr, player_lookup
),

past as (
    select
        asked.game_id,
        asked.team_abbr,
        team_games.game_id as past_game_id,
        asked.season_year = team_games.season_year as is_same_season,
        row_number() over (
            partition by asked.game_id, asked.team_abbr
            order by team_games.game_day desc
        ) as games_back
    from asked
    inner join team_games
        on
            asked.team_abbr = team_games.team_abbr
            and asked.game_day > team_games.game_day
),

-- three or more of the last 15 games of this season
regulars as (
    select
        past.game_id,
        past.team_abbr,
        player_games.player_lookup,
        min(past.games_back) as last_appearance,
        {{ exact('sum(player_games.minutes) / count(*)') }} as minutes_load,
        {{ exact('sum(player_games.fg_attempts) / count(*)') }} as attempts_load,
        {{ exact('sum(player_games.points) / count(*)') }} as points_load
    from past
    inner join player_games
        on
            past.past_game_id = player_games.game_id
            and past.team_abbr = player_games.team_abbr
    where
        past.games_back <= 15
        and past.is_same_season
    group by past.game_id, past.team_abbr, player_games.player_lookup
    having count(*) >= 3
),

everybody as (
    select
        game_id,
        team_abbr,
        player_lookup,
        true as is_present,
        false as is_newly_absent,
        minutes_load,
        attempts_load,
        points_load
    from loads
    where games >= 4
    union all
    select
        regulars.game_id,
        regulars.team_abbr,
        regulars.player_lookup,
        false as is_present,
        regulars.last_appearance = 1 as is_newly_absent,
        regulars.minutes_load,
        regulars.attempts_load,
        regulars.points_load
    from regulars
    left join line_ups
        on
            regulars.game_id = line_ups.game_id
            and regulars.player_lookup = line_ups.player_lookup
    where line_ups.game_id is null
),

rotations as (
    select everybody.*
    from everybody
    inner join known_games
        on
            everybody.game_id = known_games.game_id
            and everybody.team_abbr = known_games.team_abbr
    where everybody.minutes_load >= {{ var('rotation_minutes') }}
)
{%- endmacro %}
