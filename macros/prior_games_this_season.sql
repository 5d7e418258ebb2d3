{#- Frame over all window games of one entity this season before the game. -#}
{% macro prior_games_this_season(entity=["player_lookup"]) -%}
    {{ prior_frame(entity + ["season_year"], "games_played_prior", "unbounded") }}
{%- endmacro %}
