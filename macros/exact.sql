{#- A measured quantity as a decimal with four digits. Sums of decimals do not
    depend on the order of addition, so a window gives the same bits whatever
    other rows stand in the table and however many threads compute it. -#}
{% macro exact(expression) -%}
    {{ return(adapter.dispatch("exact", "nba_ml")(expression)) }}
{%- endmacro %}

{% macro default__exact(expression) -%}
    round(cast({{ expression }} as numeric), 4)
{%- endmacro %}

{#- DuckDB's numeric has three digits. By way of the nine that BigQuery's has: halves
    would round another way. -#}
{% macro duckdb__exact(expression) -%}
    cast(round(cast({{ expression }} as decimal(38, 9)), 4) as decimal(18, 4))
{%- endmacro %}
