{#- 12:00 UTC of a date: the clock by which its slate is predicted, and the one of data
    that stand still. -#}
{% macro noon(date) -%}
    cast(
        {{ dbt.dateadd('hour', 12, 'cast(' ~ date ~ ' as timestamp)') }} as timestamp
    )
{%- endmacro %}
