-- Rows whose three zone rates do not sum to 100, or of which only some are NULL.
select
    game_id,
    player_lookup,
    paint_rate_last_10,
    mid_range_rate_last_10,
    three_pt_rate_last_10
from {{ ref('feature_store', v=1) }}
where
    abs(paint_rate_last_10 + mid_range_rate_last_10 + three_pt_rate_last_10 - 100)
    > 0.01
    or (paint_rate_last_10 is null) <> (mid_range_rate_last_10 is null)
    or (paint_rate_last_10 is null) <> (three_pt_rate_last_10 is null)
