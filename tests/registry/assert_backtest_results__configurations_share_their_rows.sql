-- Player games of a backtest that not all of its configurations predicted.
with

backtests as (
    select
        backtest_id,
        count(distinct configuration) as configurations
    from {{ ref('backtest_results') }}
    group by backtest_id
)

select
    results.backtest_id,
    results.game_id,
    results.player_lookup,
    count(*) as predicted
from {{ ref('backtest_results') }} as results
inner join backtests
    on results.backtest_id = backtests.backtest_id
group by
    results.backtest_id,
    results.game_id,
    results.player_lookup,
    backtests.configurations
having count(*) <> backtests.configurations
