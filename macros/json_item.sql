{#- The text of one value of a flat JSON object: NULL when it has no such key, 'null'
    when the value is null. The engines' own functions give NULL for either. -#}
{% macro json_item(text, key) -%}
    {{ return(adapter.dispatch("json_item", "nba_ml")(text, key)) }}
{%- endmacro %}

{% macro default__json_item(text, key) -%}
    regexp_extract({{ text }}, r'"{{ key }}":\s*([^,}\s]+)')
{%- endmacro %}

{#- DuckDB gives an empty text where nothing matches. -#}
{% macro duckdb__json_item(text, key) -%}
    nullif(regexp_extract({{ text }}, '"{{ key }}":\s*([^,}\s]+)', 1), '')
{%- endmacro %}
