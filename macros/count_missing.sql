{#- How many of the features (a list from features_of) are NULL on a row. -#}
{% macro count_missing(features) -%}
    {%- for feature in features -%}
        case when {{ feature.name }} is null then 1 else 0 end
        {%- if not loop.last %} + {% endif -%}
    {%- endfor -%}
{%- endmacro %}
