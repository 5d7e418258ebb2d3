-- The feature catalogue: what the YAML of the feature store declares, with what
-- the data show and, once a model is registered, how much it leans on each.
{{ config(materialized='view') }}
with

declared as (
    {% for version in feature_versions() -%}
    {% set is_last_version = loop.last -%}
    {% for feature in features_of(version) -%}
    select
        '{{ feature.name }}' as feature_name,
        'v{{ version }}' as feature_version,
        {{ feature.order }} as feature_order,
        '{{ feature.group }}' as feature_group,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.data_type)) }}
            as data_type,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.unit)) }} as unit,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.window)) }}
            as window_span,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.calculation)) }}
            as calculation,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.description)) }}
            as description,
        cast({{ feature.range_min }} as {{ dbt.type_float() }}) as range_min,
        cast({{ feature.range_max }} as {{ dbt.type_float() }}) as range_max,
        {{ dbt.string_literal(dbt.escape_single_quotes(feature.null_means)) }}
            as null_means,
        '{{ feature.known_at }}' as known_at,
        cast(
            {{ "'" ~ feature.requires ~ "'" if feature.requires else "null" }} as string
        ) as requires,
        cast({{ feature.example }} as {{ dbt.type_float() }}) as example,
        '{{ feature.source_model }}' as source_model
    {{ "union all" if not (loop.last and is_last_version) }}
    {% endfor -%}
    {% endfor %}
),

-- the model in production, else the newest one
leading_model as (
    select
        model_id,
        feature_version
    from (
        select
            model_id,
            feature_version,
            row_number() over (
                order by
                    case when status = 'production' then 0 else 1 end,
                    trained_at desc,
                    model_id desc
            ) as precedence
        from {{ ref('model_registry') }}
    ) as ranked_models
    where precedence = 1
),

importance as (
    select
        leading_model.feature_version,
        importance.feature_name,
        importance.model_id,
        importance.gain_share,
        importance.importance_rank
    from {{ ref('feature_importance') }} as importance
    inner join leading_model
        on importance.model_id = leading_model.model_id
),

final as (
    select
        declared.*,
        statistics.row_count,
        statistics.null_rate,
        statistics.mean,
        statistics.standard_deviation,
        statistics.minimum,
        statistics.percentile_5,
        statistics.percentile_25,
        statistics.percentile_50,
        statistics.percentile_75,
        statistics.percentile_95,
        statistics.maximum,
        importance.model_id as importance_model_id,
        importance.gain_share,
        importance.importance_rank
    from declared
    left join {{ ref('feature_statistics') }} as statistics
        on
            declared.feature_version = statistics.feature_version
            and declared.feature_name = statistics.feature_name
    left join importance
        on
            declared.feature_version = importance.feature_version
            and declared.feature_name = importance.feature_name
)

select * from final
