-- The mean of points_avg_last_10 over played games, when it is not within 5 and 25.
-- An empty store has no mean, which is not within them either.
select avg(points_avg_last_10) as mean_points
from {{ ref('feature_store', v=1) }}
where not is_scheduled
having coalesce(avg(points_avg_last_10), 0) not between 5 and 25
