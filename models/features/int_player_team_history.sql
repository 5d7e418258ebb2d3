-- A player's history with the team that he plays for in this game.
with

player_games as (
    select
        player_games.*,
        team_games.games_played_prior as team_games_prior,
        -- with this game, unless the team's box score is torn
        case
            when player_games.is_window_game and team_games.is_window_game
                then team_games.games_played_prior + 1
            when player_games.is_window_game
                then team_games.games_played_prior
        end as team_games_until
    from {{ ref('int_player_games') }} as player_games
    inner join {{ ref('int_team_games') }} as team_games
        on
            player_games.game_id = team_games.game_id
            and player_games.team_abbr = team_games.team_abbr
),

final as (
    select
        player_lookup,
        game_id,
        count(points) over ({{ prior_games_this_season() }})
            as games_played_season,
        count(points) over (
            {{ prior_games('unbounded', entity=['player_lookup', 'team_abbr']) }}
        ) as games_with_team,
        -- twenty games and more are the same: a new start
        {{ clamp(
            'team_games_prior - max(team_games_until) over ('
            ~ prior_games_this_season(entity=['player_lookup', 'team_abbr']) ~ ')',
            0, 20
        ) }} as team_games_missed
    from player_games
)

select * from final
