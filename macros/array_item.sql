{#- The item of an array at an index that counts from 0; NULL beyond either end. An
    engine may count from the end below 0. -#}
{% macro array_item(array, index) -%}
    {{ return(adapter.dispatch("array_item", "nba_ml")(array, index)) }}
{%- endmacro %}

{% macro default__array_item(array, index) -%}
    case when {{ index }} >= 0 then {{ array }}[safe_offset({{ index }})] end
{%- endmacro %}

{#- DuckDB counts from 1. -#}
{% macro duckdb__array_item(array, index) -%}
    case when {{ index }} >= 0 then {{ array }}[({{ index }}) + 1] end
{%- endmacro %}
