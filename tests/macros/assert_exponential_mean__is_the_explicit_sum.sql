-- The average that the macro makes from two blocks is the sum over the last 8
-- half-lives by its definition, of 100 games with whatever points, some unknown, for
-- half-lives whose blocks end at 16, 24 and 40 games. The two differ by the rounding of
-- the weights alone.
{%- set float = dbt.type_float() %}
with

games as (
    {% for game in range(100) -%}
    select
        'a' as player_lookup,
        cast({{ game }} as int64) as games_played_prior,
        {% if game % 7 == 3 -%}
        cast(null as int64)
        {%- else -%}
        cast({{ (game * game + 11) % 43 }} as int64)
        {%- endif %} as points
    {{ "union all" if not loop.last }}
    {% endfor %}
),

averages as (
    select
        *,
        {{ exponential_mean('points', 2) }} as half_life_2,
        {{ exponential_mean('points', 3) }} as half_life_3,
        {{ exponential_mean('points', 5) }} as half_life_5
    from games
),

{% for half_life in (2, 3, 5) -%}
expected_{{ half_life }} as (
    select
        target.games_played_prior,
        sum(
            earlier.points
            * pow(
                0.5,
                (target.games_played_prior - earlier.games_played_prior)
                / {{ half_life }}.0
            )
        )
        / sum(
            case
                when earlier.points is not null
                    then
                        pow(
                            0.5,
                            (target.games_played_prior - earlier.games_played_prior)
                            / {{ half_life }}.0
                        )
            end
        ) as average
    from games as target
    left join games as earlier
        on
            earlier.games_played_prior
            between target.games_played_prior - {{ 8 * half_life }}
            and target.games_played_prior - 1
    group by target.games_played_prior
),

{% endfor -%}
compared as (
    {% for half_life in (2, 3, 5) -%}
    select
        averages.games_played_prior,
        averages.half_life_{{ half_life }} as actual,
        expected.average as expected
    from averages
    inner join expected_{{ half_life }} as expected
        on averages.games_played_prior = expected.games_played_prior
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from compared
where
    (actual is null) <> (expected is null)
    or abs(actual - expected) > 0.0000001
