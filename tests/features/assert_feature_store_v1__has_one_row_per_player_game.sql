-- Appearances, played or upcoming, that the store lost or doubled, and rows of the
-- store that are no appearance.
with

appearances as (
    select
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('int_player_games') }}
    group by game_id, player_lookup
),

stored as (
    select
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('feature_store', v=1) }}
    group by game_id, player_lookup
)

select
    coalesce(appearances.game_id, stored.game_id) as game_id,
    coalesce(appearances.player_lookup, stored.player_lookup) as player_lookup,
    coalesce(appearances.copies, 0) as appearances,
    coalesce(stored.copies, 0) as stored_rows
from appearances
full outer join stored
    on
        appearances.game_id = stored.game_id
        and appearances.player_lookup = stored.player_lookup
where coalesce(appearances.copies, 0) <> 1 or coalesce(stored.copies, 0) <> 1
