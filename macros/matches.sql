{#- True when the text contains the regular expression. -#}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch("matches", "nba_ml")(text, pattern)) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_contains({{ text }}, r'{{ pattern }}')
{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
