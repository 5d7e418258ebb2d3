{#- The features (a list from features_of), each cast to its declared type. -#}
{% macro cast_features(features) -%}
    {%- for feature in features -%}
        cast({{ feature.name }} as {{ feature.data_type }}) as {{ feature.name }}
        {%- if not loop.last %},
{% endif -%}
    {%- endfor -%}
{%- endmacro %}
