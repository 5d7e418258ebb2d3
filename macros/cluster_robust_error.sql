{#- Standard error of the mean of a quantity over rows that are not independent, from
    one row per cluster that holds the sum of the quantity and the number of rows: the
    sum over clusters of (sum - row_count * mean)^2, multiplied out. NULL below 10
    clusters: it would promise too much. -#}
{% macro cluster_robust_error(sums, row_count) -%}
    {%- set float = dbt.type_float() -%}
    {%- set value = exact(sums) -%}
    {%- set mean -%}
        (cast(sum({{ value }}) as {{ float }}) / sum({{ row_count }}))
    {%- endset -%}
    {%- set squares -%}
        cast(sum({{ value }} * {{ value }}) as {{ float }})
        - 2
        * {{ mean }}
        * cast(sum({{ value }} * {{ exact(row_count) }}) as {{ float }})
        + {{ mean }}
        * {{ mean }}
        * cast(sum({{ row_count }} * {{ row_count }}) as {{ float }})
    {%- endset -%}
    case
        when count(*) >= 10
            then
                sqrt(greatest({{ squares }}, 0) * count(*) / (count(*) - 1))
                / sum({{ row_count }})
    end
{%- endmacro %}
