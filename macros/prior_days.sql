{#- Frame over the `n` days before the game's date; that date is not among them. -#}
{% macro prior_days(n, entity=["player_lookup"]) -%}
    {{ prior_frame(entity, "game_day", n) }}
{%- endmacro %}
