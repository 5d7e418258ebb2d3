{#- Kullback-Leibler divergence, sum of p ln(p / q), over rows that are the bins of one
    distribution. Both sides are floored and then scaled to 1: with P the sum of the
    floored p, sum of p/P ln((p/P) / (q/Q)) is what stands here. -#}
{% macro kl_divergence(actual, baseline) -%}
    {%- set p, q = floored_share(actual), floored_share(baseline) -%}
    sum({{ p }} * ln({{ p }} / {{ q }})) / sum({{ p }})
    - ln(sum({{ p }}) / sum({{ q }}))
{%- endmacro %}
