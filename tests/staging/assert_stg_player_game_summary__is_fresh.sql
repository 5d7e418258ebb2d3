-- The newest box score, when it is older than two weeks at the clock although games
-- were scheduled since. A warning, since data may stand still on purpose while the
-- clock goes on; nba-ml status shows their age.
{{ config(severity='warn') }}
with

newest as (
    select max(game_date) as game_date
    from {{ ref('stg_player_game_summary') }}
),

missed as (
    select min(games.game_date) as first_missed_date
    from {{ ref('stg_game_schedule') }} as games
    cross join newest
    where
        not games.is_scheduled
        and games.game_date > newest.game_date
)

select
    newest.game_date as newest_box_score,
    missed.first_missed_date
from newest
cross join missed
where
    missed.first_missed_date is not null
    and {{ dbt.datediff('missed.first_missed_date', as_of_date(), 'day') }} > 14
