{#- Own part of an exact quantity, 0 to 1, with nine digits; NULL of nothing. -#}
{% macro share_of(own, others) -%}
    {{ exact(
        "cast(" ~ own ~ " as " ~ dbt.type_float() ~ ") / nullif(" ~ own ~ " + " ~ others ~ ", 0)", 9
    ) }}
{%- endmacro %}
