-- Seasons in which box scores are missing for more than 1 % of the past games of the
-- schedule, and for more than one game: a postponement is no hole. Games before the
-- first box score are nobody's loss.
with

played_games as (
    select distinct game_id
    from {{ ref('stg_player_game_summary') }}
    where is_played
),

first_day as (
    select min(game_date) as game_date
    from {{ ref('stg_player_game_summary') }}
),

past_games as (
    select
        games.season_year,
        games.game_id,
        played_games.game_id is null as is_missing
    from {{ ref('stg_game_schedule') }} as games
    cross join first_day
    left join played_games
        on games.game_id = played_games.game_id
    where
        not games.is_scheduled
        and games.game_date >= first_day.game_date
)

select
    season_year,
    count(*) as past_games,
    count(case when is_missing then 1 end) as missing_games
from past_games
group by season_year
having
    count(case when is_missing then 1 end) > 0.01 * count(*)
    and count(case when is_missing then 1 end) > 1
