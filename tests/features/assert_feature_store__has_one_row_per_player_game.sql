-- Appearances, played or upcoming, that a version of the store lost or doubled, and
-- rows of it that are no appearance.
with

appearances as (
    {% for version in feature_versions() -%}
    select
        'v{{ version }}' as feature_version,
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('int_player_games') }}
    group by game_id, player_lookup
    {{ "union all" if not loop.last }}
    {% endfor %}
),

stored as (
    {% for version in feature_versions() -%}
    select
        'v{{ version }}' as feature_version,
        game_id,
        player_lookup,
        count(*) as copies
    from {{ ref('feature_store', v=version) }}
    group by game_id, player_lookup
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    coalesce(appearances.feature_version, stored.feature_version) as feature_version,
    coalesce(appearances.game_id, stored.game_id) as game_id,
    coalesce(appearances.player_lookup, stored.player_lookup) as player_lookup,
    coalesce(appearances.copies, 0) as appearances,
    coalesce(stored.copies, 0) as stored_rows
from appearances
full outer join stored
    on
        appearances.feature_version = stored.feature_version
        and appearances.game_id = stored.game_id
        and appearances.player_lookup = stored.player_lookup
where coalesce(appearances.copies, 0) <> 1 or coalesce(stored.copies, 0) <> 1
