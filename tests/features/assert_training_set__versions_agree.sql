-- Training rows that one version has and another has not, or has with another tier or
-- outcome: two models would be judged on different populations.
with

labelled as (
    {% for version in feature_versions() -%}
    select
        game_id,
        player_lookup,
        tier,
        minutes_played,
        target_points
    from {{ ref('training_set', v=version) }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    game_id,
    player_lookup,
    tier,
    minutes_played,
    target_points,
    count(*) as versions
from labelled
group by
    game_id,
    player_lookup,
    tier,
    minutes_played,
    target_points
having count(*) <> {{ feature_versions() | length }}
