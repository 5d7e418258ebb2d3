{#- Mean of a group from an exact sum: the same bits in whatever order the rows come. -#}
{% macro exact_mean(column) -%}
    cast(sum({{ exact(column) }}) as {{ dbt.type_float() }})
    / nullif(count({{ column }}), 0)
{%- endmacro %}
