-- What each feature looks like over all played regular-season games.
-- Percentiles are by rank (the smallest value that has at least that share of
-- the values at or below it): both engines agree on them.
{{ config(materialized='table') }}
with

{% for version in feature_versions() -%}
played_v{{ version }} as (
    select * from {{ ref('feature_store', v=version) }}
    where
        not is_scheduled
        and season_type = 'regular'
),

{% endfor -%}
ranked as (
    {% for version in feature_versions() -%}
    {% set is_last_version = loop.last -%}
    {% for feature in features_of(version) -%}
    select
        'v{{ version }}' as feature_version,
        '{{ feature.name }}' as feature_name,
        cast({{ feature.name }} as {{ dbt.type_float() }}) as feature_value,
        row_number() over (order by {{ feature.name }}) as value_rank,
        count(*) over () as value_count
    from played_v{{ version }}
    where {{ feature.name }} is not null
    {{ "union all" if not (loop.last and is_last_version) }}
    {% endfor -%}
    {% endfor %}
),

populations as (
    {% for version in feature_versions() -%}
    select
        'v{{ version }}' as feature_version,
        count(*) as row_count
    from played_v{{ version }}
    {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select
        ranked.feature_version,
        ranked.feature_name,
        populations.row_count,
        count(*) as value_count,
        1 - count(*) / cast(populations.row_count as {{ dbt.type_float() }})
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
    inner join populations
        on ranked.feature_version = populations.feature_version
    group by ranked.feature_version, ranked.feature_name, populations.row_count
)

select * from final
