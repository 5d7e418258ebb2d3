-- Seasons in which more than 1 % of the rows with a shot or a point have no minutes:
-- minutes that could not be read would turn players into absentees. (Whole
-- minutes make a 0 of a few seconds.)
select
    season_year,
    count(*) as row_count,
    count(case when not is_played then 1 end) as rows_without_minutes
from {{ ref('base_player_game_summary') }}
where
    rejection_reason is null
    and is_active
    and (fg_attempts > 0 or points > 0)
group by season_year
having count(case when not is_played then 1 end) > 0.01 * count(*)
