{#- One source column cast to its type; a typed NULL when the source has no
    such column, or holds a value that cannot be read as that type. -#}
{% macro column_or_null(columns, name, type) -%}
    {%- if name in columns -%}{{ dbt.safe_cast(name, type) }}
    {%- else -%}cast(null as {{ type }})
    {%- endif -%}
{%- endmacro %}
