{#- Sample standard deviation of a group from exact sums; NULL below two values. -#}
{% macro exact_deviation(column) -%}
    case
        when count({{ column }}) >= 2
            then
                sqrt(
                    (
                        cast(
                            sum({{ exact(column) }} * {{ exact(column) }})
                            as {{ dbt.type_float() }}
                        )
                        - cast(sum({{ exact(column) }}) as {{ dbt.type_float() }})
                        * cast(sum({{ exact(column) }}) as {{ dbt.type_float() }})
                        / count({{ column }})
                    )
                    / (count({{ column }}) - 1)
                )
    end
{%- endmacro %}
