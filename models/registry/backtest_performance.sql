-- How good was each configuration, and is it as good in every fold? Beside the
-- baselines on the same rows.
with

outcomes as (
    select * from {{ ref('backtest_outcomes') }}
),

populations as (
    select
        outcomes.*,
        'all' as population
    from outcomes

    union all

    select
        outcomes.*,
        'pregame_minutes_15_plus' as population
    from outcomes
    where minutes_avg_last_10 >= 15

    union all

    select
        outcomes.*,
        concat('tier_', tier) as population
    from outcomes
    where tier is not null
),

measured as (
    select
        backtest_id,
        configuration,
        fold,
        population,
        count(*) as n,
        min(game_date) as first_date,
        max(game_date) as last_date,
        {{ exact_mean('abs(predicted_points - actual_points)') }} as mae,
        {{ exact_mean('predicted_points - actual_points') }} as bias,
        {{ exact_mean(
            'case when actual_points between predicted_low and predicted_high'
            ' then 1 else 0 end'
        ) }} as interval_coverage,
        {{ exact_mean('abs(rule - actual_points)') }} as rule_mae,
        {{ exact_mean('abs(last_5 - actual_points)') }} as last_5_mae,
        {{ exact_mean('abs(last_10 - actual_points)') }} as last_10_mae,
        {{ exact_mean('abs(season_average - actual_points)') }}
            as season_average_mae
    from populations
    group by
        backtest_id,
        configuration,
        fold,
        population
),

best as (
    select
        *,
        least(rule_mae, last_5_mae, last_10_mae, season_average_mae)
            as best_baseline_mae
    from measured
),

final as (
    select
        ---------- what was measured
        backtest_id,
        configuration,
        fold,
        population,

        ---------- on which rows
        n,
        first_date,
        last_date,

        ---------- how it did
        mae,
        bias,
        interval_coverage,

        ---------- what it takes to beat
        rule_mae,
        last_5_mae,
        last_10_mae,
        season_average_mae,
        best_baseline_mae,
        1 - mae / nullif(best_baseline_mae, 0) as skill
    from best
)

select * from final
