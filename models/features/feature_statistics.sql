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

final as (
    select
        'v1' as feature_version,
        ranked.feature_name,
        population.row_count,
        count(*) as value_count,
        1 - count(*) / cast(population.row_count as {{ dbt.type_float() }})
            as null_rate,
        avg(ranked.feature_value) as mean,
        stddev_samp(ranked.feature_value) as standard_deviation,
        min(ranked.feature_value) as minimum,
        max(ranked.feature_value) as maximum,
        {% for percent in [5, 25, 50, 75, 95] -%}
        min(
            case
                when value_rank >= {{ percent / 100 }} * value_count
                    then feature_value
            end
        ) as percentile_{{ percent }}{{ "," if not loop.last }}
        {% endfor %}
    from ranked
    cross join (select count(*) as row_count from played) as population
    group by ranked.feature_name, population.row_count
)

select * from final
