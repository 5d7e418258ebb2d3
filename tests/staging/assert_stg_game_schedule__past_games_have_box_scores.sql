-- Seasons in which box scores are missing for more than 1 % of the past games of the
-- schedule, and for more than one game: a postponement is no hole. Games before the
-- first box score are nobody's loss; those after the newest one are the business of
-- assert_stg_player_game_summary__is_fresh.
with

played_games as (
    select distinct game_id
    from {{ ref('stg_player_game_summary') }}
    where is_played
),

known_days as (
    select
        min(game_date) as first_date,
        max(game_date) as last_date
    from {{ ref('stg_player_game_summary') }}
),

past_games as (
    select
        games.season_year,
        games.game_id,
        played_games.game_id is null as is_missing
    from {{ ref('stg_game_schedule') }} as games
    cross join known_days
    left join played_games
        on games.game_id = played_games.game_id
    where
        not games.is_scheduled
        and games.game_date >= known_days.first_date
        and games.game_date <= known_days.last_date
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
