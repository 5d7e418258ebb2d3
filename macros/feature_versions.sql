{#- The versions of the feature store, oldest first. Written down here, and not read
    from the graph: what a loop over them refs has to be known while dbt parses, when
    there is no graph yet. Once there is one, a version that the YAML declares and
    this list lacks is an error. A unit test overrides it: dbt gives two versions of one
    model the same place among its inputs, so that a test can hold one of them. -#}
{% macro feature_versions() %}
    {%- set versions = [1, 2] -%}
    {%- if execute -%}
        {%- for node in (graph.nodes or {}).values() -%}
            {%- if node.resource_type == "model" and node.name == "feature_store" and node.version not in versions -%}
                {{ exceptions.raise_compiler_error(
                    "Version " ~ node.version ~ " of feature_store is not among "
                    ~ versions ~ ". Add it to macros/feature_versions.sql."
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(versions) }}
{% endmacro %}
