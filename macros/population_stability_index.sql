{#- Population stability index, sum of (p - q) ln(p / q), over rows that are the bins of
    one distribution; the divergence of kl_divergence both ways, where the logarithms of
    the scales cancel out. -#}
{% macro population_stability_index(actual, baseline) -%}
    {%- set p, q = floored_share(actual), floored_share(baseline) -%}
    sum({{ p }} * ln({{ p }} / {{ q }})) / sum({{ p }})
    - sum({{ q }} * ln({{ p }} / {{ q }})) / sum({{ q }})
{%- endmacro %}
