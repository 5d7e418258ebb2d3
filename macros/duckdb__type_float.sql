{#- dbt's float is 32 bit on DuckDB, 64 bit on BigQuery: 64 on both. -#}
{% macro duckdb__type_float() -%}
    double
{%- endmacro %}
