-- The mean of points_avg_last_10 over played games, when it is not within 5 and 25.
-- An empty store has no mean, which is not within them either.
{% for version in feature_versions() -%}
select
    'v{{ version }}' as feature_version,
    avg(points_avg_last_10) as mean_points
from {{ ref('feature_store', v=version) }}
where not is_scheduled
having coalesce(avg(points_avg_last_10), 0) not between 5 and 25
{{ "union all" if not loop.last }}
{% endfor %}
