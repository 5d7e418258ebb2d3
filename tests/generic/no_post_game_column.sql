{#- Columns of the relation that the box score fills after the game. The sources'
    YAML says which columns are known before (known_at: schedule). -#}
{% test no_post_game_column(model) %}
    {%- if execute -%}
        {%- set post_game = [] -%}
        {%- for source in graph.sources.values() if source.name == "player_game_summary" -%}
            {%- for column in source.columns.values() if column.meta.get("known_at") != "schedule" -%}
                {%- do post_game.append(column.name) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- if not post_game -%}
            {{ exceptions.raise_compiler_error("No post-game column is declared in the sources' YAML.") }}
        {%- endif -%}
        {%- set exposed = [] -%}
        {%- for column in adapter.get_columns_in_relation(model) if column.name | lower in post_game -%}
            {%- do exposed.append(column.name | lower) -%}
        {%- endfor %}
select exposed_column
from (
    {% for column in exposed -%}
    select '{{ column }}' as exposed_column
    union all
    {% endfor -%}
    select cast(null as string) as exposed_column
) as columns_of_model
where exposed_column is not null
    {%- endif -%}
{% endtest %}
