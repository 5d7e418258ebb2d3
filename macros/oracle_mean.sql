{#- Exponential average in the oracle tests, by its definition: a game weighs half as much
    as one `half_life` games later, and the last 8 half-lives count. -#}
{% macro oracle_mean(column, half_life) -%}
    {%- set weight = "pow(0.5, games_back / " ~ half_life ~ ".0)" -%}
    {%- set counts = "games_back <= 8 * " ~ half_life -%}
    sum(case when {{ counts }} then {{ weight }} * {{ column }} end)
    / sum(
        case
            when {{ counts }} and {{ column }} is not null then {{ weight }}
        end
    )
{%- endmacro %}
