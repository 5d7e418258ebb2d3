-- Predictions of a backtest whose model had seen the fold, or whose game is in another.
select
    backtest_id,
    configuration,
    fold,
    game_id,
    player_lookup,
    training_end,
    fold_start
from {{ ref('backtest_results') }}
where
    training_end >= fold_start
    or game_date not between fold_start and fold_end
