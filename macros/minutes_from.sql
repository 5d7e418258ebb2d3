{#- Decimal minutes from a number or from text MM:SS; NULL when unreadable. -#}
{% macro minutes_from(column) -%}
    {%- set text = "cast(" ~ column ~ " as string)" -%}
    case
        when {{ matches(text, "^[0-9]{1,3}:[0-5][0-9]$") }}
            then
                {{ dbt.safe_cast(dbt.split_part(text, "':'", 1), "int64") }}
                + {{ dbt.safe_cast(dbt.split_part(text, "':'", 2), "int64") }} / 60.0
        else {{ dbt.safe_cast(text, dbt.type_float()) }}
    end
{%- endmacro %}
