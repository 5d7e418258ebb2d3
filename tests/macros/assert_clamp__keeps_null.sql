-- Held at both limits, untouched between them, and NULL stays NULL.
{%- set cases = [
    (-4, -3),
    (-3, -3),
    (1, 1),
    (3, 3),
    (4, 3),
    ('null', 'null'),
] %}
with

cases as (
    {% for amount, expected in cases -%}
    select
        cast({{ amount }} as int64) as amount,
        cast({{ expected }} as int64) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    amount,
    {{ clamp('amount', -3, 3) }} as actual,
    expected
from cases
where {{ clamp('amount', -3, 3) }} is distinct from expected
