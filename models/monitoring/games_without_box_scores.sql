-- Games that are over and have no box score: the import is not done.
{{ config(materialized='view') }}
with

window_of as (
    select limit_value as days from {{ ref('retraining_limits') }}
    where limit_name = 'box_score_days'
),

-- a game whose rows were all rejected has none either
recorded as (
    select distinct game_id from {{ ref('stg_player_game_summary') }}
),

final as (
    select
        games.game_id,
        games.game_date,
        {{ dbt.datediff('games.game_date', as_of_date(), 'day') }} as days_ago
    from {{ ref('stg_game_schedule') }} as games
    cross join window_of
    left join recorded
        on games.game_id = recorded.game_id
    where
        games.season_type = 'regular'
        and games.game_date < {{ as_of_date() }}
        and {{ dbt.datediff('games.game_date', as_of_date(), 'day') }} <= window_of.days
        and recorded.game_id is null
)

select * from final
