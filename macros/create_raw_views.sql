{#- Gives DuckDB the source relations that BigQuery has as tables: one view per
    Parquet file in NBA_ML_HOME/raw. A source without a file has no view. -#}
{% macro create_raw_views() %}
    {{ return(adapter.dispatch("create_raw_views", "nba_ml")()) }}
{% endmacro %}

{% macro default__create_raw_views() %}{% endmacro %}

{% macro duckdb__create_raw_views() %}
    {%- if execute -%}
        {%- for source in graph.sources.values() -%}
            {%- set relation = source.schema ~ "." ~ source.identifier -%}
            {%- set file = env_var("NBA_ML_HOME", "data") ~ "/raw/" ~ source.identifier ~ ".parquet" -%}
            {%- set quoted = "'" ~ file | replace("'", "''") ~ "'" -%}
            {%- do run_query("create schema if not exists " ~ source.schema) -%}
            {%- set found = run_query("select count(*) from glob(" ~ quoted ~ ")")[0][0] -%}
            {%- if found -%}
                {%- do run_query(
                    "create or replace view " ~ relation
                    ~ " as select * from read_parquet(" ~ quoted ~ ")"
                ) -%}
            {%- else -%}
                {%- do run_query("drop view if exists " ~ relation) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
