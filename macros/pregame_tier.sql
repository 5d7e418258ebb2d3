{#- Tier of a player before the game, from the mean of points so far. Never from
    the game's own points: that would show a bias that is not there. -#}
{% macro pregame_tier(points_avg) -%}
    case
        when {{ points_avg }} < 6 then 'bench'
        when {{ points_avg }} < 12 then 'role'
        when {{ points_avg }} < 20 then 'starter'
        when {{ points_avg }} >= 20 then 'star'
    end
{%- endmacro %}
