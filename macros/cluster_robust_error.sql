{#- Standard error of a mean over rows, from one row per cluster that holds the sum of
    its values and how many they are: the sum over clusters of
    (sum - row_count * mean)^2, multiplied out. A cluster without values has a NULL sum.
    NULL below 10 clusters: it would promise too much. -#}
{% macro cluster_robust_error(sums, row_count) -%}
    {%- set float = dbt.type_float() -%}
    {%- set value = exact(sums) -%}
    {%- set mean -%}
        (cast(sum({{ value }}) as {{ float }}) / nullif(sum({{ row_count }}), 0))
    {%- endset -%}
    {%- set squares -%}
        cast(sum({{ value }} * {{ value }}) as {{ float }})
        - 2 * {{ mean }}
        * cast(sum({{ value }} * {{ exact(row_count) }}) as {{ float }})
        + {{ mean }} * {{ mean }}
        * cast(sum({{ row_count }} * {{ row_count }}) as {{ float }})
    {%- endset -%}
    case
        when count({{ sums }}) >= 10
            then
                sqrt(
                    greatest({{ squares }}, 0)
                    * count({{ sums }})
                    / (count({{ sums }}) - 1)
                )
                / sum({{ row_count }})
    end
{%- endmacro %}
