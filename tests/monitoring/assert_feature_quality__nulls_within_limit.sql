-- Features with more missing values in a season than their limit in the seed
-- feature_null_limits allows, or without a limit.
select
    feature_version,
    feature_name,
    season_year,
    null_count,
    null_pct,
    max_null_pct
from {{ ref('feature_quality') }}
where
    max_null_pct is null
    or null_count > max_null_count
