-- How many rows of each season were rejected, by reason. A warning: staging has kept
-- them out, and whoever owns the source should know (_staging__models.yml).
select
    season_year,
    rejection_reason,
    count(*) as rejected
from {{ ref('rejected_rows') }}
group by season_year, rejection_reason
