{#- The features of one version of the feature store, in the order of its YAML: a list
    of {name, data_type, description, order (from 1), group, unit, window, calculation,
    range_min, range_max, null_means, known_at, requires (availability, or not there),
    may_be_zero (or not there), example, source_model}. Empty while dbt parses. -#}
{% macro features_of(version) %}
    {%- set features = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() -%}
            {%- if node.resource_type == "model" and node.name == "feature_store" and node.version == version -%}
                {%- for column in node.columns.values() if column.meta.get("feature") -%}
                    {%- set feature = dict(column.meta["feature"]) -%}
                    {%- do feature.update({
                        "name": column.name,
                        "data_type": column.data_type,
                        "description": column.description,
                        "order": loop.index,
                    }) -%}
                    {%- do features.append(feature) -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(features) }}
{% endmacro %}
