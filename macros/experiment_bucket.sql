{#- Where a player falls in an experiment: the first 8 hexadecimal digits of
    md5(experiment:player) as a share of 2^32. The same on every engine, in Python and
    in every process, which a language's own hash is not. -#}
{% macro experiment_bucket(experiment, player_lookup) -%}
    {%- set text = experiment ~ " || ':' || " ~ player_lookup -%}
    cast('0x' || substr({{ dbt.hash(text) }}, 1, 8) as int64) / 4294967296
{%- endmacro %}
