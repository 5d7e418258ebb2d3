-- Form in games with a line-up like tonight's: a player's appearances in the last 40
-- games of the team, each weighing the more, the fewer minutes of the rotation differ
-- and the later it was.
with

pairs as (
    select
        *,
        {{ exact(
            'pow(0.5, games_back / 12.0) * exp(-1.0 * minutes_that_differ / 20.0)', 9
        ) }} as likeness
    from {{ ref('int_lineup_distances') }}
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
),

final as (
    select
        player_lookup,
        game_id,
        games as similar_lineup_games,
        cast(likeness_sum as {{ dbt.type_float() }}) as lineup_likeness,
        cast(points as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as points_avg_similar_lineups,
        cast(fg_attempts as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as fg_attempts_avg_similar_lineups,
        cast(minutes_played as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as minutes_avg_similar_lineups,
        cast(usage_rate as {{ dbt.type_float() }}) / nullif(usage_likeness, 0)
            as usage_rate_similar_lineups
    from sums
)

select * from final
