-- Games whose date is not the one in game_id: their players would find no context
-- for their day.
select
    game_id,
    game_date
from {{ ref('stg_game_schedule') }}
where
    substr(game_id, 1, 8) <> replace(cast(game_date as string), '-', '')
    or game_date is null
