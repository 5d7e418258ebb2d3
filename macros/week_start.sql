{#- The Monday of the week that a date is in. date_trunc differs: BigQuery's weeks begin
    on Sunday. 1970-01-01, day 0, was a Thursday. -#}
{% macro week_start(date) -%}
    cast(
        {{ dbt.dateadd('day', '-mod(' ~ game_day(date) ~ ' + 3, 7)', date) }}
        as date
    )
{%- endmacro %}
