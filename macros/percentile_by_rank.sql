{#- The smallest value that has at least `percent` of the values at or below it, of
    rows of `ranked` that carry value_rank (from 1) and value_count. -#}
{% macro percentile_by_rank(percent, column="feature_value") -%}
    min(
        case
            when ranked.value_rank >= {{ percent / 100 }} * ranked.value_count
                then ranked.{{ column }}
        end
    )
{%- endmacro %}
