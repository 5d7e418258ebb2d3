{#- Population stability index, the sum of (p - q) ln(p / q), over rows that are the
    bins of one distribution, floored and scaled as in kl_divergence: it is that
    divergence both ways, and the logarithms of the scales cancel out. -#}
{% macro population_stability_index(actual, baseline) -%}
    {%- set p, q = floored_share(actual), floored_share(baseline) -%}
    round(
        sum({{ p }} * ln({{ p }} / {{ q }})) / sum({{ p }})
        - sum({{ q }} * ln({{ p }} / {{ q }})) / sum({{ q }}),
        9
    )
{%- endmacro %}
