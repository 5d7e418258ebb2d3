-- Rows of the store without a baseline, baselines without a row, and doubles.
with

stored as (
    select
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('feature_store', v=1) }}
    group by game_id, player_lookup
),

forecasts as (
    select
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('baseline_predictions') }}
    group by game_id, player_lookup
)

select
    coalesce(stored.game_id, forecasts.game_id) as game_id,
    coalesce(stored.player_lookup, forecasts.player_lookup) as player_lookup,
    coalesce(stored.copies, 0) as stored_rows,
    coalesce(forecasts.copies, 0) as forecasts
from stored
full outer join forecasts
    on
        stored.game_id = forecasts.game_id
        and stored.player_lookup = forecasts.player_lookup
where coalesce(stored.copies, 0) <> coalesce(forecasts.copies, 0)
