-- Features that have the same value, or none, on every row of a season. The first
-- 2,500 rows (ten game days) are let pass: on opening night everybody is rested.
select
    feature_version,
    feature_name,
    season_year,
    distinct_values
from {{ ref('feature_quality') }}
where
    distinct_values < 2
    and row_count >= 2500
    and coalesce(max_null_pct, 0) < 100
