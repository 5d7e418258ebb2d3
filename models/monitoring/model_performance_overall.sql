{{ config(materialized='view') }}
-- How good each model was over all of its rows of one kind of evidence.
{%- set float = dbt.type_float() %}
{%- set measures = [
    "mae", "bias", "share_within_5", "interval_coverage",
    "rule_mae", "last_5_mae", "last_10_mae", "season_average_mae"
] %}
with

-- each game day counts with its number of predictions
graded as (
    select
        model_id,
        variant,
        mode as evidence,
        population,
        cast(sum(n) as int64) as n,
        min(game_date) as first_date,
        max(game_date) as last_date,
        {%- for measure in measures %}
        cast(sum({{ exact(measure ~ ' * n') }}) as {{ float }})
        / sum(n) as {{ measure }},
        {%- endfor %}
        cast(null as {{ float }}) as mae_low,
        cast(null as {{ float }}) as mae_high
    from {{ ref('model_performance_daily') }}
    group by
        model_id,
        variant,
        mode,
        population
),

-- the rows that a model was judged on before it served, and what it is now
test_metrics as (
    select
        metrics.*,
        case
            when models.status in ('production', 'staging') then models.status
            else 'candidate'
        end as variant,
        case metrics.predictor
            when 'model' then metrics.metric
            else concat(metrics.predictor, '_', metrics.metric)
        end as measure
    from {{ ref('model_metrics') }} as metrics
    inner join {{ ref('model_registry') }} as models
        on metrics.model_id = models.model_id
    where metrics.split = 'test'
),

tested as (
    select
        model_id,
        variant,
        'test' as evidence,
        population,
        max(n) as n,
        max(first_date) as first_date,
        max(last_date) as last_date,
        {%- for measure in measures %}
        max(case when measure = '{{ measure }}' then value end)
            as {{ measure }},
        {%- endfor %}
        max(case when measure = 'mae' then low end) as mae_low,
        max(case when measure = 'mae' then high end) as mae_high
    from test_metrics
    group by
        model_id,
        variant,
        population
),

measured as (
    select * from graded

    union all

    select * from tested
),

final as (
    select
        *,
        least(rule_mae, last_5_mae, last_10_mae, season_average_mae)
            as best_baseline_mae,
        -- 1 is the one to show: in production, then judged on the latest games
        row_number() over (
            partition by
                evidence,
                population
            order by
                case variant when 'production' then 1 else 2 end,
                last_date desc,
                n desc,
                model_id desc,
                variant asc
        ) as precedence
    from measured
)

select * from final
