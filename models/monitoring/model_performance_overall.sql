-- How good each model was over all of its rows of one kind of evidence.
{{ config(materialized='view') }}
{%- set float = dbt.type_float() %}
{%- set measures = ["mae", "bias", "share_within_5", "interval_coverage"] %}
{%- set baselines = ["rule", "last_5", "last_10", "season_average"] %}
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
        cast(null as {{ float }}) as mae_low,
        cast(null as {{ float }}) as mae_high,
        {%- for measure in measures %}
        cast(sum({{ exact(measure ~ ' * n') }}) as {{ float }}) / sum(n) as {{ measure }},
        {%- endfor %}
        {%- for baseline in baselines %}
        cast(sum({{ exact(baseline ~ '_mae * n') }}) as {{ float }}) / sum(n)
            as {{ baseline }}_mae{{ "," if not loop.last }}
        {%- endfor %}
    from {{ ref('model_performance_daily') }}
    group by
        model_id,
        variant,
        evidence,
        population
),

-- the rows that the model was judged on before it served
tested as (
    select
        metrics.model_id,
        case models.status
            when 'production' then 'production'
            when 'staging' then 'staging'
            else 'candidate'
        end as variant,
        'test' as evidence,
        metrics.population,
        max(metrics.n) as n,
        max(metrics.first_date) as first_date,
        max(metrics.last_date) as last_date,
        {%- set own = "case when predictor = 'model' and metric = " %}
        max({{ own }}'mae' then low end) as mae_low,
        max({{ own }}'mae' then high end) as mae_high,
        {%- for measure in measures %}
        max({{ own }}'{{ measure }}' then value end) as {{ measure }},
        {%- endfor %}
        {%- for baseline in baselines %}
        max(
            case when predictor = '{{ baseline }}' and metric = 'mae' then value end
        ) as {{ baseline }}_mae{{ "," if not loop.last }}
        {%- endfor %}
    from {{ ref('model_metrics') }} as metrics
    inner join {{ ref('model_registry') }} as models
        on metrics.model_id = models.model_id
    where metrics.split = 'test'
    group by
        metrics.model_id,
        models.status,
        metrics.population
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
        -- 1 is the one to show: in production, then what is judged on the latest games
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
