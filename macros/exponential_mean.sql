{#- Exponential average of an exact quantity over the window games of one entity before
    the game: a game weighs half as much as one `half_life` games later. The last
    8 half-lives count; what is older would weigh below 0.4 %. NULL over no value.

    A sum of decimals is exact, but a weight that halves with every few games leaves
    their range. So games are counted in blocks of 8 half-lives, within which weights
    grow from 1 to 256. The frame is as long as a block: it touches the block of the
    game itself and the one before it, an even and an odd one, and each is summed by
    itself. The older block weighs 1/256. -#}
{% macro exponential_mean(column, half_life, entity=["player_lookup"]) -%}
    {%- set block = 8 * half_life -%}
    {%- set frame = prior_games(block, entity=entity) -%}
    {%- set place = "mod(games_played_prior, " ~ 2 * block ~ ")" -%}
    {%- set weight = exact(
        "pow(2, mod(games_played_prior, " ~ block ~ ") / " ~ half_life ~ ".0)", 9
    ) -%}
    {%- set sums = [] -%}
    {%- for value in [column ~ " * " ~ weight, "case when " ~ column ~ " is not null then " ~ weight ~ " end"] -%}
        {%- set even, odd = [], [] -%}
        {%- for half, found in [("<", even), (">=", odd)] -%}
            {%- do found.append(
                "coalesce(sum(case when " ~ place ~ " " ~ half ~ " " ~ block
                ~ " then " ~ value ~ " end) over (" ~ frame ~ "), 0)"
            ) -%}
        {%- endfor -%}
        {%- do sums.append(
            "cast(case when " ~ place ~ " < " ~ block
            ~ " then 256 * " ~ even[0] ~ " + " ~ odd[0]
            ~ " else 256 * " ~ odd[0] ~ " + " ~ even[0]
            ~ " end as " ~ dbt.type_float() ~ ")"
        ) -%}
    {%- endfor -%}
    {{ sums[0] }} / nullif({{ sums[1] }}, 0)
{%- endmacro %}
