{#- Frame over the player's last `n` games with complete shot zones before the game;
    rows without complete zones carry NULL and add nothing. -#}
{% macro prior_zone_games(n) -%}
    {{ prior_frame(["player_lookup"], "zone_games_prior", n) }}
{%- endmacro %}
