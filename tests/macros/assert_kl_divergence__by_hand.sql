-- Sum of p ln(p / q) over two bins; those of q are 1 - q too.
-- p 1/2, q 1/4: 1/2 ln 2 + 1/2 ln 2/3 = 1/2 ln 4/3 = 0.143841036
-- p 1/4, q 1/2: 1/4 ln 1/2 + 3/4 ln 3/2 = 0.130812036, another: it has a direction
-- p 1, q 1/2: the empty bin is floored, p becomes 1/1.0001 = 0.99990001 and
--     0.00009999: 0.99990001 ln 1.99980002 + 0.00009999 ln 0.00019998 = 0.692126244
-- p 1/2, q 1: the other way, 1/2 ln (0.5 / 0.99990001) + 1/2 ln (0.5 / 0.00009999)
--     = 3.912123000
-- p q: 0. Nothing known on one side: NULL.
{%- set cases = [
    (0.5, 0.25, '0.143841036'),
    (0.25, 0.5, '0.130812036'),
    (1, 0.5, '0.692126244'),
    (0.5, 1, '3.912123000'),
    (0.3, 0.3, '0'),
    (1, 1, '0'),
    ('null', 0.5, 'null'),
    (0.5, 'null', 'null'),
] %}
{%- set float = dbt.type_float() %}
with

bins as (
    {% for actual, baseline, expected in cases -%}
    select
        {{ loop.index }} as distribution,
        cast({{ actual }} as {{ float }}) as actual,
        cast({{ baseline }} as {{ float }}) as baseline,
        cast({{ expected }} as {{ float }}) as expected

    union all

    select
        {{ loop.index }} as distribution,
        1 - cast({{ actual }} as {{ float }}) as actual,
        1 - cast({{ baseline }} as {{ float }}) as baseline,
        cast({{ expected }} as {{ float }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
),

measured as (
    select
        distribution,
        expected,
        {{ kl_divergence('actual', 'baseline') }} as divergence
    from bins
    group by distribution, expected
)

select * from measured
where divergence is distinct from expected
