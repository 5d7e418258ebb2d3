-- What each feature looks like over all played regular-season games.
-- Percentiles are by rank (the smallest value that has at least that share of
-- the values at or below it): both engines agree on them.
{%- set features = features_of(1) %}
{{ config(materialized='table') }}
with

played as (
    select * from {{ ref('feature_store', v=1) }}
    where
        not is_scheduled
        and season_type = 'regular'
),

ranked as (
    {% for feature in features -%}
    select
        '{{ feature.name }}' as feature_name,
        cast({{ feature.name }} as {{ dbt.type_float() }}) as feature_value,
        row_number() over (order by {{ feature.name }}) as value_rank,
        count(*) over () as value_count
    from played
    where {{ feature.name }} is not null
    {{ "union all" if not loop.last }}
    {% endfor %}
),

population as (
    select count(*) as row_count from played
),

final as (
    select
        'v1' as feature_version,
        ranked.feature_name,
        population.row_count,
        count(*) as value_count,
        1 - count(*) / cast(population.row_count as {{ dbt.type_float() }})
            as null_rate,
        {{ exact_mean('ranked.feature_value') }} as mean,
        {{ exact_deviation('ranked.feature_value') }} as standard_deviation,
        min(ranked.feature_value) as minimum,
        max(ranked.feature_value) as maximum,
        {{ percentile_by_rank(5) }} as percentile_5,
        {{ percentile_by_rank(25) }} as percentile_25,
        {{ percentile_by_rank(50) }} as percentile_50,
        {{ percentile_by_rank(75) }} as percentile_75,
        {{ percentile_by_rank(95) }} as percentile_95
    from ranked
    cross join population
    group by ranked.feature_name, population.row_count
)

select * from final
