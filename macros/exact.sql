{#- A measured quantity as a decimal, with four digits unless told otherwise. Sums of
    decimals do not depend on the order of addition, so a window gives the same bits
    whatever other rows stand in the table and however many threads compute it. -#}
{% macro exact(expression, digits=4) -%}
    {{ return(adapter.dispatch("exact", "nba_ml")(expression, digits)) }}
{%- endmacro %}

{% macro default__exact(expression, digits) -%}
    round(cast({{ expression }} as numeric), {{ digits }})
{%- endmacro %}

{#- DuckDB's numeric has three digits. By way of the nine that BigQuery's has: halves
    would round another way. -#}
{% macro duckdb__exact(expression, digits) -%}
    cast(round(cast({{ expression }} as decimal(38, 9)), {{ digits }}) as decimal(18, {{ digits }}))
{%- endmacro %}
