-- Are the interval and the confidence what they say? Measured on test rows, which they
-- were not learnt from.
with

predictions as (
    select
        *,
        abs(predicted_points - actual_points) as absolute_error
    from {{ ref('test_predictions') }}
    where confidence is not null
),

measured as (
    select
        model_id,
        confidence,
        count(*) as n,
        min(game_date) as first_date,
        max(game_date) as last_date,
        {{ exact_mean('predicted_points') }} as predicted_points_mean,
        {{ exact_mean('absolute_error') }} as mae,
        {{ exact_mean('case when absolute_error <= 5 then 1 else 0 end') }}
            as share_within_5,
        {{ exact_mean(
            'case when actual_points between predicted_low and predicted_high'
            ' then 1 else 0 end'
        ) }} as interval_coverage
    from predictions
    group by
        model_id,
        confidence
),

final as (
    select
        model_id,
        confidence,
        n,
        first_date,
        last_date,
        predicted_points_mean,
        mae,
        share_within_5,
        share_within_5 - confidence as calibration_gap,
        interval_coverage
    from measured
)

select * from final
