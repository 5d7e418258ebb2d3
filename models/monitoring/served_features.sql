-- The feature vectors that were served, a row for each feature.
{%- set float = dbt.type_float() %}
{%- set versions = feature_versions() %}
with

forecasts as (
    select * from {{ ref('pregame_predictions') }}
    where recency = 1
),

feature_names as (
    {% for version in versions -%}
    {% set is_last_version = loop.last -%}
    {% for feature in features_of(version) -%}
    select
        'v{{ version }}' as feature_version,
        '{{ feature.name }}' as feature_name
    {{ "union all" if not (loop.last and is_last_version) }}
    {% endfor -%}
    {% endfor -%}
),

-- the names first: a row reads its own feature only
served as (
    {% for version in versions -%}
    select
        forecasts.prediction_id,
        forecasts.model_id,
        forecasts.variant,
        forecasts.mode,
        forecasts.game_id,
        forecasts.player_lookup,
        forecasts.game_date,
        feature_names.feature_name,
        case feature_names.feature_name
            {% for feature in features_of(version) -%}
            when '{{ feature.name }}'
                then {{ json_item('forecasts.features', feature.name) }}
            {% endfor -%}
        end as served_text
    from forecasts
    inner join feature_names
        on
            forecasts.feature_version = feature_names.feature_version
            and feature_names.feature_version = 'v{{ version }}'
    {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select
        prediction_id,
        model_id,
        variant,
        mode,
        game_id,
        player_lookup,
        game_date,
        feature_name,
        {{ dbt.safe_cast('served_text', float) }} as served_value
    from served
)

select * from final
