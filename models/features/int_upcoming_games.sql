-- The next game of each team. A later game is left out until its turn comes: rest
-- and form before it depend on games that nobody has seen, so features made
-- today would differ from those that training sees.
with

scheduled_games as (
    select * from {{ ref('stg_game_schedule') }}
    where is_scheduled
),

team_games as (
    select
        game_id,
        game_date,
        home_team_abbr as team_abbr
    from scheduled_games
    union all
    select
        game_id,
        game_date,
        away_team_abbr as team_abbr
    from scheduled_games
),

ordered as (
    select
        game_id,
        row_number() over (
            partition by team_abbr
            order by game_date, game_id
        ) as games_ahead
    from team_games
),

next_for_both_teams as (
    select game_id
    from ordered
    group by game_id
    having max(games_ahead) = 1
),

final as (
    select scheduled_games.*
    from scheduled_games
    inner join next_for_both_teams
        on scheduled_games.game_id = next_for_both_teams.game_id
)

select * from final
