-- Whole numbers bare, others with three digits, halves away from zero, carried over.
{%- set cases = [
    (0, '0'),
    (2000, '2000'),
    (4.5, '4.500'),
    (-0.0625, '-0.063'),
    (0.007, '0.007'),
    (1.9996, '2'),
    (-12.34, '-12.340'),
] %}
with

cases as (
    {% for amount, expected in cases -%}
    select
        cast({{ amount }} as {{ dbt.type_float() }}) as amount,
        '{{ expected }}' as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    amount,
    {{ number_text('amount') }} as actual,
    expected
from cases
where {{ number_text('amount') }} is distinct from expected
