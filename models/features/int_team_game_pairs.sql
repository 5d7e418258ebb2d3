-- Each team-game beside the games of the team before it, up to 40.
with

team_games as (
    select * from {{ ref('int_team_games') }}
),

final as (
    select
        target.game_id,
        target.team_abbr,
        earlier.game_id as earlier_game_id,
        target.games_played_prior - earlier.games_played_prior as games_back,
        target.season_year = earlier.season_year as is_same_season
    from team_games as target
    inner join team_games as earlier
        on
            target.team_abbr = earlier.team_abbr
            and {{ is_prior_game('earlier', 'target', 40) }}
)

select * from final
