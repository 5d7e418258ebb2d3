{#- The share of a bin, at least 0.0001: a bin that is empty on one side would make any
    divergence infinite. NULL stays NULL. -#}
{% macro floored_share(share) -%}
    case when {{ share }} < 0.0001 then 0.0001 else {{ share }} end
{%- endmacro %}
