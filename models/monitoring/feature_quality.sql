-- How complete and how alive each feature was in each season, on the rows that a
-- model may learn from, beside its limit.
{%- set versions = feature_versions() %}
with

{% for version in versions -%}
eligible_v{{ version }} as (
    select * from {{ ref('feature_store', v=version) }}
    where
        not is_scheduled
        and season_type = 'regular'
        and games_played_prior >= {{ var('min_prior_games') }}
),

{% endfor -%}
measured as (
    {% for version in versions -%}
    {% set is_last_version = loop.last -%}
    {% for feature in features_of(version) -%}
    select
        'v{{ version }}' as feature_version,
        '{{ feature.name }}' as feature_name,
        season_year,
        count(*) as row_count,
        count({{ feature.name }}) as value_count,
        count(distinct {{ feature.name }}) as distinct_values,
        {{ exact_mean(feature.name) }} as mean,
        {{ exact_deviation(feature.name) }} as standard_deviation
    from eligible_v{{ version }}
    group by season_year
    {{ "union all" if not (loop.last and is_last_version) }}
    {% endfor -%}
    {% endfor %}
),

-- values further than six deviations from the season's mean
outliers as (
    {% for version in versions -%}
    {% set is_last_version = loop.last -%}
    {% for feature in features_of(version) -%}
    select
        'v{{ version }}' as feature_version,
        '{{ feature.name }}' as feature_name,
        eligible.season_year,
        count(*) as outlier_count
    from eligible_v{{ version }} as eligible
    inner join measured
        on
            eligible.season_year = measured.season_year
    where
        measured.feature_version = 'v{{ version }}'
        and measured.feature_name = '{{ feature.name }}'
        and measured.standard_deviation > 0
        and abs(eligible.{{ feature.name }} - measured.mean)
        > 6 * measured.standard_deviation
    group by eligible.season_year
    {{ "union all" if not (loop.last and is_last_version) }}
    {% endfor -%}
    {% endfor %}
),

-- a season's own limit before the feature's general one
limits as (
    select
        measured.feature_version,
        measured.feature_name,
        measured.season_year,
        coalesce(
            max(
                case
                    when limits.season_year = measured.season_year
                        then limits.max_null_pct
                end
            ),
            max(
                case
                    when limits.season_year is null then limits.max_null_pct
                end
            )
        ) as max_null_pct
    from measured
    left join {{ ref('feature_null_limits') }} as limits
        on
            measured.feature_version = limits.feature_version
            and measured.feature_name = limits.feature_name
            and (
                limits.season_year is null
                or measured.season_year = limits.season_year
            )
    group by
        measured.feature_version,
        measured.feature_name,
        measured.season_year
),

final as (
    select
        measured.feature_version,
        measured.feature_name,
        measured.season_year,
        measured.row_count,
        measured.row_count - measured.value_count as null_count,
        100 * (measured.row_count - measured.value_count)
        / cast(measured.row_count as {{ dbt.type_float() }}) as null_pct,
        limits.max_null_pct,
        -- most NULLs come once per player, in a season's first games: a season
        -- in progress may have as many as a full one
        limits.max_null_pct / 100
        * greatest(measured.row_count, {{ var('full_season_rows') }})
            as max_null_count,
        measured.distinct_values,
        measured.mean,
        measured.standard_deviation,
        100 * coalesce(outliers.outlier_count, 0)
        / cast(measured.row_count as {{ dbt.type_float() }}) as outlier_pct
    from measured
    left join limits
        on
            measured.feature_version = limits.feature_version
            and measured.feature_name = limits.feature_name
            and measured.season_year = limits.season_year
    left join outliers
        on
            measured.feature_version = outliers.feature_version
            and measured.feature_name = outliers.feature_name
            and measured.season_year = outliers.season_year
)

select * from final
