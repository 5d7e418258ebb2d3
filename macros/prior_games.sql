{#- Frame over the last `n` window games of one entity before the game.
    games_played_prior counts the window games of earlier dates, so the games
    that hold the counts n back to 1 back are the last n. Rows that are not
    window games (playoffs, scheduled) carry NULL and add nothing. -#}
{% macro prior_games(n, entity=["player_lookup"]) -%}
    {{ prior_frame(entity, "games_played_prior", n) }}
{%- endmacro %}
