{#- A number as text for a sentence: without digits when it is whole, else with three.
    Casts and format strings write numbers differently by engine. -#}
{% macro number_text(number) -%}
    {%- set thousandths -%}
        cast(round(abs({{ number }}) * 1000) as int64)
    {%- endset -%}
    concat(
        case when {{ number }} < 0 then '-' else '' end,
        cast(cast(floor({{ thousandths }} / 1000) as int64) as string),
        case
            when mod({{ thousandths }}, 1000) = 0 then ''
            else
                concat('.', lpad(cast(mod({{ thousandths }}, 1000) as string), 3, '0'))
        end
    )
{%- endmacro %}
