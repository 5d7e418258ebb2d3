-- Where the features that were served are not those of the store. Only predictions on
-- features of the present build: those of an earlier one may differ rightly, since its
-- inputs did.
{%- set float = dbt.type_float() %}
{%- set versions = feature_versions() %}
with

served as (
    select predictions.* from {{ ref('prediction_log') }} as predictions
    inner join {{ ref('build_info') }} as build
        on predictions.dbt_invocation_id = build.dbt_invocation_id
    where predictions.mode in ('live', 'replay')
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

-- one row per prediction and feature of its version
compared as (
    {% for version in versions -%}
    select
        served.prediction_id,
        feature_names.feature_name,
        case feature_names.feature_name
            {% for feature in features_of(version) -%}
            when '{{ feature.name }}'
                then {{ json_item('served.features', feature.name) }}
            {% endfor -%}
        end as served_text,
        case feature_names.feature_name
            {% for feature in features_of(version) -%}
            when '{{ feature.name }}'
                then cast(store.{{ feature.name }} as {{ float }})
            {% endfor -%}
        end as stored_value
    from served
    inner join {{ ref('feature_store', v=version) }} as store
        on
            served.game_id = store.game_id
            and served.player_lookup = store.player_lookup
            and served.feature_version = 'v{{ version }}'
    inner join feature_names
        on served.feature_version = feature_names.feature_version
    {{ "union all" if not loop.last }}
    {% endfor %}
),

with_numbers as (
    select
        *,
        {{ dbt.safe_cast('served_text', float) }} as served_value
    from compared
),

judged as (
    select
        prediction_id,
        feature_name,
        served_value,
        stored_value,
        case
            when served_text is null then 'The vector has no such feature.'
            when served_text = 'null' and stored_value is not null
                then 'Served as missing.'
            when served_text != 'null' and served_value is null
                then 'Served as something that is no number.'
            when served_value is not null and stored_value is null
                then 'Served, but missing in the store.'
            when served_value != stored_value then 'Another value.'
        end as reason
    from with_numbers
),

found_in_store as (
    select distinct prediction_id from compared
),

differing as (
    select * from judged
    where reason is not null

    union all

    select
        served.prediction_id,
        null as feature_name,
        null as served_value,
        null as stored_value,
        'The store of its feature version has no such player and game.' as reason
    from served
    left join found_in_store
        on served.prediction_id = found_in_store.prediction_id
    where found_in_store.prediction_id is null
),

final as (
    select
        served.prediction_id,
        served.model_id,
        served.mode,
        served.game_id,
        served.player_lookup,
        differing.feature_name,
        differing.served_value,
        differing.stored_value,
        differing.reason,
        served.predicted_at
    from differing
    inner join served
        on differing.prediction_id = served.prediction_id
)

select * from final
