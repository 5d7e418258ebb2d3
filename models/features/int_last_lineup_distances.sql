-- How the line-up of a team's last game of this season differs from those of the games
-- before it: stands for tonight's, as long as nobody has reported who plays.
with

last_games as (
    select
        game_id,
        team_abbr,
        earlier_game_id as last_game_id
    from {{ ref('int_team_game_pairs') }}
    where
        games_back = 1
        and is_same_season
),

final as (
    select
        last_games.game_id,
        last_games.team_abbr,
        distances.earlier_game_id,
        distances.games_back + 1 as games_back,
        distances.minutes_that_differ
    from last_games
    inner join {{ ref('int_lineup_distances') }} as distances
        on
            last_games.last_game_id = distances.game_id
            and last_games.team_abbr = distances.team_abbr

    union all

    select
        game_id,
        team_abbr,
        last_game_id as earlier_game_id,
        1 as games_back,
        0 as minutes_that_differ
    from last_games
)

select * from final
