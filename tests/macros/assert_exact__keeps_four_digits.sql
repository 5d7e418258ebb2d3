-- Four digits after the point, halves away from zero; NULL stays NULL. As decimals
-- 0.1 and 0.2 sum to 0.3, which floats do not.
{%- set cases = [
    ('1.23456', '1.2346'),
    ('-1.23454', '-1.2345'),
    ('100', '100'),
    ('0.00015', '0.0002'),
    ('null', 'null'),
] %}
with

cases as (
    {% for amount, expected in cases -%}
    select
        cast({{ amount }} as {{ dbt.type_float() }}) as amount,
        cast({{ expected }} as {{ dbt.type_float() }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    amount,
    cast({{ exact('amount') }} as {{ dbt.type_float() }}) as actual,
    expected
from cases
where cast({{ exact('amount') }} as {{ dbt.type_float() }}) is distinct from expected

union all

select
    sum(summand) as amount,
    cast(sum({{ exact('summand') }}) as {{ dbt.type_float() }}) as actual,
    0.3 as expected
from (
    select cast(0.1 as {{ dbt.type_float() }}) as summand
    union all
    select cast(0.2 as {{ dbt.type_float() }}) as summand
) as summands
having cast(sum({{ exact('summand') }}) as {{ dbt.type_float() }}) <> 0.3
