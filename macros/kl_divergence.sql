{#- Kullback-Leibler divergence, the sum of p ln(p / q), over rows that are the bins of
    one distribution. Both sides are floored and then scaled to 1, which is the second
    line: ln of the scales. Nine digits, so that equal shares are 0. -#}
{% macro kl_divergence(actual, baseline) -%}
    {%- set p, q = floored_share(actual), floored_share(baseline) -%}
    round(
        sum({{ p }} * ln({{ p }} / {{ q }})) / sum({{ p }})
        - ln(sum({{ p }}) / sum({{ q }})),
        9
    )
{%- endmacro %}
