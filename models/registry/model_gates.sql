-- May this model be promoted, and if not why? Its figures beside the limits of the
-- seed deployment_gates.
with

models as (
    select * from {{ ref('model_registry') }}
),

production as (
    select max(model_id) as model_id from models
    where status = 'production'
),

applicable as (
    select
        models.model_id,
        gates.*,
        -- the limit of the model's own feature version before the general one
        row_number() over (
            partition by models.model_id, gates.gate, gates.population
            order by gates.feature_version desc
        ) as precedence
    from models
    inner join {{ ref('deployment_gates') }} as gates
        on coalesce(gates.feature_version, '') in ('', models.feature_version)
),

figures as (
    select
        model_id,
        population,
        max(n) as n,
        max(case when predictor = 'model' and metric = 'mae' then value end) as mae,
        max(case when predictor = 'model' and metric = 'bias' then value end) as bias,
        max(case when predictor = 'rule' and metric = 'mae' then value end)
            as rule_mae,
        min(case when predictor != 'model' and metric = 'mae' then value end)
            as baseline_mae,
        max(case when metric = 'mae_difference' then low end)
            as baseline_difference_low
    from {{ ref('model_metrics') }}
    where split = 'test'
    group by model_id, population
),

measured as (
    select
        applicable.*,
        case applicable.metric
            when 'row_count' then coalesce(figures.n, 0)
            when 'mae' then figures.mae
            when 'mae_minus_rule_mae' then figures.mae - figures.rule_mae
            when 'mae_ratio_to_best_baseline' then figures.mae / figures.baseline_mae
            when 'bias' then figures.bias
            when 'baseline_difference_low' then figures.baseline_difference_low
            when 'production_difference_low' then comparison.mae_difference_low
        end as value,
        coalesce(
            case
                when applicable.population = 'shared_with_production'
                    then comparison.n
                else figures.n
            end,
            0
        ) as n,
        applicable.population = 'shared_with_production'
        and coalesce(production.model_id, applicable.model_id) = applicable.model_id
            as has_no_rival
    from applicable
    cross join production
    left join figures
        on
            applicable.model_id = figures.model_id
            and applicable.population = figures.population
    left join {{ ref('model_comparison') }} as comparison
        on
            applicable.model_id = comparison.model_id
            and production.model_id = comparison.other_model_id
            and comparison.population = 'all'
    where applicable.precedence = 1
),

judged as (
    select
        *,
        case
            when has_no_rival then true
            when n < min_rows then null
            when comparison = 'at_most' then value <= limit_value
            when comparison = 'at_least' then value >= limit_value
            when comparison = 'below' then value < limit_value
            when comparison = 'within' then abs(value) <= limit_value
        end as has_passed
    from measured
),

final as (
    select
        model_id,
        gate,
        population,
        metric,
        value,
        comparison,
        limit_value,
        n,
        has_passed,
        case
            when has_no_rival then 'Passed: no other model is in production.'
            when n < min_rows
                then
                    concat(
                        'Not decided: ', cast(n as string), ' rows (', population,
                        '), and it takes ', cast(min_rows as string), '.'
                    )
            when has_passed is null
                then
                    concat('Not decided: ', replace(metric, '_', ' '), ' is not known.')
            else
                concat(
                    case when has_passed then 'Passed: ' else 'Failed: ' end,
                    replace(metric, '_', ' '), ' is ', {{ number_text('value') }},
                    ' on ', cast(n as string), ' rows (', population,
                    '), and must be ', replace(comparison, '_', ' '), ' ',
                    {{ number_text('limit_value') }}, '.'
                )
        end as explanation,
        reason
    from judged
)

select * from final
