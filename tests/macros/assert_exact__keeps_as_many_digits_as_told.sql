-- Nine digits: a third of a share is not lost. Below a thousand million there is room.
{%- set cases = [
    ('0.3333333333333', '0.333333333'),
    ('0.00000000149', '0.000000001'),
    ('-1.5', '-1.5'),
    ('900000000.5', '900000000.5'),
    ('null', 'null'),
] %}
{%- set float = dbt.type_float() %}
with

cases as (
    {% for amount, expected in cases -%}
    select
        cast({{ amount }} as {{ float }}) as amount,
        cast({{ expected }} as {{ float }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    amount,
    cast({{ exact('amount', 9) }} as {{ float }}) as actual,
    expected
from cases
where cast({{ exact('amount', 9) }} as {{ float }}) is distinct from expected
