-- Sum of (p - q) ln(p / q) over two bins; those of q are 1 - q too.
-- p 1/2, q 1/4: 1/4 ln 2 - 1/4 ln 2/3 = 1/4 ln 3 = 0.274653072
-- p 1/4, q 1/2: the same, it is symmetric
-- p 1, q 1/2: the empty bin is floored, p becomes 1/1.0001 = 0.99990001 and
--     0.00009999: 0.49990001 (ln 0.99990001 - ln 0.00009999) = 0.49990001 ln 10000
--     = 4.604249244
-- p q: 0. Nothing known on one side: NULL.
{%- set cases = [
    (0.5, 0.25, '0.274653072'),
    (0.25, 0.5, '0.274653072'),
    (1, 0.5, '4.604249244'),
    (0, 0.5, '4.604249244'),
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
        {{ population_stability_index('actual', 'baseline') }} as psi
    from bins
    group by distribution, expected
)

select * from measured
where psi is distinct from expected
