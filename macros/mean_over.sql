{#- Mean of an exact quantity over a frame, as float; NULL over no value. -#}
{% macro mean_over(column, frame) -%}
    cast(sum({{ column }}) over ({{ frame }}) as {{ dbt.type_float() }})
    / nullif(count({{ column }}) over ({{ frame }}), 0)
{%- endmacro %}
