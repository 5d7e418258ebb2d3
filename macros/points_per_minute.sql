{#- Points per minute from exact sums; NULL below 20 minutes, which say nothing. -#}
{% macro points_per_minute(points, minutes) -%}
    case
        when {{ minutes }} >= 20
            then
                cast({{ points }} as {{ dbt.type_float() }})
                / cast({{ minutes }} as {{ dbt.type_float() }})
    end
{%- endmacro %}
