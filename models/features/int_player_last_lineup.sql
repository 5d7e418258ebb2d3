-- A player's place in the line-up of the team's last game of this season: the best
-- guess at tonight's that is known the day before.
with

player_games as (
    select
        player_games.player_lookup,
        player_games.game_id,
        player_games.team_abbr,
        {{ exact('averages.points_ewma_5') }} as points_load
    from {{ ref('int_player_games') }} as player_games
    inner join {{ ref('int_player_averages') }} as averages
        on
            player_games.player_lookup = averages.player_lookup
            and player_games.game_id = averages.game_id
),

last_games as (
    select * from {{ ref('int_team_game_pairs') }}
    where
        games_back = 1
        and is_same_season
),

others as (
    select
        player_games.player_lookup,
        player_games.game_id,
        coalesce(sum(rotations.points_load), 0) as points_of_others,
        max(case when appearances.game_id is not null then 1 else 0 end)
            as played_last_team_game
    from player_games
    inner join last_games
        on
            player_games.game_id = last_games.game_id
            and player_games.team_abbr = last_games.team_abbr
    left join {{ ref('int_rotations') }} as rotations
        on
            last_games.earlier_game_id = rotations.game_id
            and last_games.team_abbr = rotations.team_abbr
            and player_games.player_lookup <> rotations.player_lookup
            and rotations.is_present
    left join {{ ref('int_player_games') }} as appearances
        on
            last_games.earlier_game_id = appearances.game_id
            and player_games.player_lookup = appearances.player_lookup
    group by player_games.player_lookup, player_games.game_id
),

final as (
    select
        player_games.player_lookup,
        player_games.game_id,
        others.played_last_team_game,
        {{ share_of('player_games.points_load', 'others.points_of_others') }}
            as points_share_last_lineup
    from player_games
    left join others
        on
            player_games.player_lookup = others.player_lookup
            and player_games.game_id = others.game_id
)

select * from final
