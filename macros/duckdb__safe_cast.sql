{#- dbt-duckdb's safe_cast is a plain cast: one unreadable value ends the build. -#}
{% macro duckdb__safe_cast(field, type) -%}
    try_cast({{ field }} as {{ type }})
{%- endmacro %}
