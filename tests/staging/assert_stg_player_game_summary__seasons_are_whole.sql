-- Teams with more regular-season games than a season has, and, once something was
-- played after the season's last regular game, teams with more than 2 fewer than the
-- busiest. Seasons with rules of their own stand in the seed season_exceptions.
with

played as (
    select
        season_year,
        season_type,
        team_abbr,
        game_id,
        game_date
    from {{ ref('stg_player_game_summary') }}
    where is_played
),

team_seasons as (
    select
        season_year,
        team_abbr,
        count(distinct game_id) as games,
        max(game_date) as last_date
    from played
    where season_type = 'regular'
    group by season_year, team_abbr
),

seasons as (
    select
        season_year,
        max(games) as most_games,
        max(last_date) as last_date
    from team_seasons
    group by season_year
),

newest as (
    select max(game_date) as game_date from played
)

select
    team_seasons.season_year,
    team_seasons.team_abbr,
    team_seasons.games,
    seasons.most_games
from team_seasons
inner join seasons
    on team_seasons.season_year = seasons.season_year
cross join newest
left join {{ ref('season_exceptions') }} as exceptions
    on team_seasons.season_year = exceptions.season_year
where
    team_seasons.games > coalesce(exceptions.max_games, 82)
    or (
        seasons.last_date < newest.game_date
        and team_seasons.games
        < seasons.most_games - coalesce(exceptions.max_gap, 2)
    )
