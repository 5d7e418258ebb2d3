{#- Sample standard deviation of a group from exact sums; NULL below two values. Rounding
    may take the difference of two large sums below zero: then the values are equal. -#}
{% macro exact_deviation(column) -%}
    {%- set value = exact(column) -%}
    {%- set float = dbt.type_float() -%}
    {%- set squares -%}
        cast(sum({{ value }} * {{ value }}) as {{ float }})
        - cast(sum({{ value }}) as {{ float }})
        * cast(sum({{ value }}) as {{ float }})
        / count({{ column }})
    {%- endset -%}
    case
        when count({{ column }}) < 2 then null
        when min({{ value }}) = max({{ value }}) then 0
        else sqrt(greatest({{ squares }}, 0) / (count({{ column }}) - 1))
    end
{%- endmacro %}
