-- Seasons in which more than 1 % of the regular-season games, and more than one, are
-- torn: without two teams, with a team of fewer than 5 players, or one whose minutes
-- are further than 5 from 240 or 240 + 25 for each overtime. (Real games keep within
-- 3 where minutes are whole numbers, within 0.1 elsewhere; six overtimes are the
-- most ever.) A single rejected row tears a game, hence the allowance. A partial
-- game is not whole and says so.
with

played as (
    select * from {{ ref('stg_player_game_summary') }}
    where
        is_played
        and season_type = 'regular'
),

teams as (
    select
        game_id,
        team_abbr,
        min(season_year) as season_year,
        count(*) as players,
        sum(minutes_played) as minutes_played,
        count(case when is_partial then 1 end) as partial_rows
    from played
    group by game_id, team_abbr
),

games as (
    select
        game_id,
        min(season_year) as season_year,
        count(*) <> 2
        or min(players) < 5
        or min(minutes_played) < 235
        or max(minutes_played) > 395
        or max(
            abs(minutes_played - 240 - 25 * round((minutes_played - 240) / 25))
        ) > 5 as is_torn
    from teams
    group by game_id
    having sum(partial_rows) = 0
)

select
    season_year,
    count(*) as games,
    count(case when is_torn then 1 end) as torn_games,
    min(case when is_torn then game_id end) as example
from games
group by season_year
having
    count(case when is_torn then 1 end) > 0.01 * count(*)
    and count(case when is_torn then 1 end) > 1
