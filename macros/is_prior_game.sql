{#- THE LEAKAGE RULE for joins: whether `earlier` is one of the last `n` window games of
    the entity before `target`. games_played_prior counts window games of earlier
    dates, so games of the target's own date, itself among them, never qualify. -#}
{% macro is_prior_game(earlier, target, n) -%}
    {{ earlier }}.is_window_game
    and {{ earlier }}.games_played_prior
    between {{ target }}.games_played_prior - {{ n }}
    and {{ target }}.games_played_prior - 1
{%- endmacro %}
