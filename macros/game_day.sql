{#- A date as a number of days, for frames that count days. -#}
{% macro game_day(date) -%}
    {{ dbt.datediff("cast('1970-01-01' as date)", date, "day") }}
{%- endmacro %}
