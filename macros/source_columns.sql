{#- Names of the columns that a source relation has; empty when it is absent.
    A missing required relation is an error that says what to do. -#}
{% macro source_columns(relation, required=false) %}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set names = [] -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {%- do names.append(column.name | lower) -%}
    {%- endfor -%}
    {%- if required and not names -%}
        {{ exceptions.raise_compiler_error(
            "The source " ~ relation ~ " does not exist. Next: `nba-ml import PATH` "
            ~ "for files of your own, or `nba-ml simulate` for a simulated league; on "
            ~ "BigQuery the variables of dbt_project.yml name the datasets."
        ) }}
    {%- endif -%}
    {{ return(names) }}
{% endmacro %}
