{#- The source relation, or a relation without rows when it is absent. -#}
{% macro source_or_empty(relation, columns) -%}
    {%- if columns -%}{{ relation }}
    {%- else -%}(select 1 as absent limit 0) as absent_source
    {%- endif -%}
{%- endmacro %}
