-- What came of each prediction of a backtest, beside the baselines. Every fold counts
-- twice, as itself and in the fold `all`. Populations are cut by version 1 of the
-- features, whatever a configuration trains on.
with

graded as (
    select
        ---------- ids
        results.backtest_id,
        results.configuration,
        results.fold,
        results.game_id,
        results.player_lookup,

        ---------- which population
        results.game_date,
        outcomes.tier,
        outcomes.minutes_avg_last_10,

        ---------- points
        outcomes.target_points as actual_points,
        results.predicted_points,
        results.predicted_low,
        results.predicted_high,
        baselines.rule,
        baselines.last_5,
        baselines.last_10,
        baselines.season_average
    from {{ ref('backtest_results') }} as results
    inner join {{ ref('training_set', v=1) }} as outcomes
        on
            results.game_id = outcomes.game_id
            and results.player_lookup = outcomes.player_lookup
    inner join {{ ref('baseline_predictions') }} as baselines
        on
            results.game_id = baselines.game_id
            and results.player_lookup = baselines.player_lookup
    where
        baselines.rule is not null
        and baselines.last_5 is not null
        and baselines.last_10 is not null
        and baselines.season_average is not null
),

final as (
    select * from graded

    union all

    select
        backtest_id,
        configuration,
        'all' as fold,
        game_id,
        player_lookup,
        game_date,
        tier,
        minutes_avg_last_10,
        actual_points,
        predicted_points,
        predicted_low,
        predicted_high,
        rule,
        last_5,
        last_10,
        season_average
    from graded
)

select * from final
