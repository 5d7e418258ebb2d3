{#- The value held within limits; NULL stays NULL (greatest() and least() skip
    NULL on DuckDB and would turn a missing value into a limit). -#}
{% macro clamp(expression, low, high) -%}
    case
        when {{ expression }} < {{ low }} then {{ low }}
        when {{ expression }} > {{ high }} then {{ high }}
        else {{ expression }}
    end
{%- endmacro %}
