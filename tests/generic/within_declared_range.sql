{#- Rows outside the range that the feature's own YAML entry declares. NULL passes
    unless the entry says that it never is. An entry without a range is an error:
    a check that cannot fail is none. -#}
{% test within_declared_range(model, column_name) %}
    {%- if execute -%}
        {%- set ns = namespace(entry=none) -%}
        {%- for node in graph.nodes.values() if node.resource_type == "model" and node.alias == model.identifier -%}
            {%- set ns.entry = node.columns[column_name].meta.get("feature") -%}
        {%- endfor -%}
        {%- if not ns.entry or ns.entry.get("range_min") is none or ns.entry.get("range_max") is none -%}
            {{ exceptions.raise_compiler_error(
                model.identifier ~ "." ~ column_name ~ " declares no range. "
                ~ "Add range_min and range_max under config.meta.feature."
            ) }}
        {%- endif -%}
select
    game_id,
    player_lookup,
    {{ column_name }}
from {{ model }}
where
    {{ column_name }} < {{ ns.entry.range_min }}
    or {{ column_name }} > {{ ns.entry.range_max }}
    {% if ns.entry.null_means == "never" -%}
    or {{ column_name }} is null
    {%- endif %}
    {%- endif -%}
{% endtest %}
