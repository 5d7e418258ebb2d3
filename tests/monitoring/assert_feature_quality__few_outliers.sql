-- Features of which more than 1 % of a season's values lie beyond six deviations:
-- a broken unit or a torn join, not basketball.
select
    feature_version,
    feature_name,
    season_year,
    outlier_pct
from {{ ref('feature_quality') }}
where outlier_pct > 1
