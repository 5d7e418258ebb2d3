-- Training rows that the store of their version does not hold, or whose key or game it
-- holds otherwise.
{% for version in feature_versions() -%}
select
    'v{{ version }}' as feature_version,
    training_set.game_id,
    training_set.player_lookup
from {{ ref('training_set', v=version) }} as training_set
left join {{ ref('feature_store', v=version) }} as feature_store
    on
        training_set.game_id = feature_store.game_id
        and training_set.player_lookup = feature_store.player_lookup
where
    feature_store.game_id is null
    or feature_store.is_scheduled
    or feature_store.season_type <> 'regular'
{{ "union all" if not loop.last }}
{% endfor %}
