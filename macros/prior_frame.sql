{#- THE LEAKAGE RULE. Every window of this project ends here, at `1 preceding`
    of a count that only grows from one date to the next: rows of the same date,
    the game itself among them, are never inside. No option includes them.

    entity: columns that partition (none: the whole league)
    order_by: an integer column that grows with the date
    span: how far back, in units of order_by, or 'unbounded' -#}
{% macro prior_frame(entity, order_by, span) -%}
    {%- if entity %}partition by {{ entity | join(", ") }} {% endif -%}
    order by {{ order_by }} range between {{ span }} preceding and 1 preceding
{%- endmacro %}
