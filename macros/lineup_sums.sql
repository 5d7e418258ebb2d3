{#- CTEs that end in `sums`: of each player game the player's appearances for the team
    in the games of `distances`, added up. Each weighs the more, the fewer minutes of the
    rotation differ and the later it was: half as much 12 games back, and 1/e for every
    20 minutes. Nine digits, so that the sums do not depend on order. -#}
{% macro lineup_sums(distances) -%}
pairs as (
    select
        *,
        {{ exact(
            'pow(0.5, games_back / 12.0) * exp(-1.0 * minutes_that_differ / 20.0)', 9
        ) }} as likeness
    from {{ distances }}
),

player_games as (
    select * from {{ ref('int_player_games') }}
),

sums as (
    select
        player_games.player_lookup,
        player_games.game_id,
        count(*) as games,
        sum(pairs.likeness) as likeness_sum,
        sum(pairs.likeness * earlier.points) as points,
        sum(pairs.likeness * earlier.fg_attempts) as fg_attempts,
        sum(pairs.likeness * earlier.minutes_played) as minutes_played,
        sum(pairs.likeness * earlier.usage_rate) as usage_rate,
        sum(case when earlier.usage_rate is not null then pairs.likeness end)
            as usage_likeness
    from player_games
    inner join pairs
        on
            player_games.game_id = pairs.game_id
            and player_games.team_abbr = pairs.team_abbr
    inner join player_games as earlier
        on
            pairs.earlier_game_id = earlier.game_id
            and player_games.team_abbr = earlier.team_abbr
            and player_games.player_lookup = earlier.player_lookup
    group by player_games.player_lookup, player_games.game_id
)
{%- endmacro %}
