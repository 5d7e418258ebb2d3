{#- How good each model was in each period, beside the baselines on identical rows: the
    body of model_performance_daily and _weekly. `period` names the column, `first_day`
    is its date, an expression over game_date. -#}
{% macro model_performance(period, first_day) -%}
{%- set predictors = ["rule", "last_5", "last_10", "season_average"] %}
with

graded as (
    select
        *
        {%- if first_day != period %},
        {{ first_day }} as {{ period }}
        {%- endif %}
    from {{ ref('prediction_accuracy') }}
    where
        not is_voided
        and rule is not null
        and last_5 is not null
        and last_10 is not null
        and season_average is not null
),

populations as (
    select
        *,
        'all' as population
    from graded

    union all

    select
        *,
        'pregame_minutes_15_plus' as population
    from graded
    where minutes_avg_last_10 >= 15

    union all

    select
        *,
        concat('tier_', tier) as population
    from graded
    where tier is not null
),

measured as (
    select
        model_id,
        variant,
        mode,
        population,
        {{ period }},
        count(*) as n,
        count(distinct player_lookup) as players,
        {{ exact_mean('absolute_error') }} as mae,
        {{ exact_mean('signed_error') }} as bias,
        {%- for predictor in predictors %}
        {{ exact_mean('abs(' ~ predictor ~ ' - actual_points)') }}
            as {{ predictor }}_mae,
        {%- endfor %}
        {{ exact_mean('case when was_correct then 1 else 0 end') }}
            as share_within_5,
        {{ exact_mean('confidence') }} as mean_confidence,
        {{ exact_mean('case when is_in_interval then 1 else 0 end') }}
            as interval_coverage
    from populations
    group by
        model_id,
        variant,
        mode,
        population,
        {{ period }}
),

final as (
    select
        *,
        least(rule_mae, last_5_mae, last_10_mae, season_average_mae)
            as best_baseline_mae
    from measured
)

select * from final
{%- endmacro %}
