-- The feature vectors that were served, a row for each feature.
{%- set float = dbt.type_float() %}
{%- set versions = [1] %}
with

forecasts as (
    select * from {{ ref('pregame_predictions') }}
    where recency = 1
),

{% for version in versions %}
-- each vector is read once per feature, before there is a row for each: a quarter of
-- the time that it takes afterwards
vectors_v{{ version }} as (
    select
        prediction_id,
        model_id,
        variant,
        mode,
        game_id,
        player_lookup,
        game_date,
        {%- for feature in features_of(version) %}
        {{ dbt.safe_cast(json_item('features', feature.name), float) }}
            as {{ feature.name }}{{ "," if not loop.last }}
        {%- endfor %}
    from forecasts
    where feature_version = 'v{{ version }}'
),

names_v{{ version }} as (
    {% for feature in features_of(version) -%}
    select '{{ feature.name }}' as feature_name
    {{ "union all" if not loop.last }}
    {% endfor -%}
),

{% endfor -%}
final as (
    {% for version in versions -%}
    select
        vectors.prediction_id,
        vectors.model_id,
        vectors.variant,
        vectors.mode,
        vectors.game_id,
        vectors.player_lookup,
        vectors.game_date,
        names.feature_name,
        case names.feature_name
            {% for feature in features_of(version) -%}
            when '{{ feature.name }}' then vectors.{{ feature.name }}
            {% endfor -%}
        end as served_value
    from vectors_v{{ version }} as vectors
    cross join names_v{{ version }} as names
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
