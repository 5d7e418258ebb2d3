-- MM:SS, numbers as text, and NULL for what is neither. A column that is a number
-- already stays what it is.
{%- set cases = [
    ("'31:30'", '31.5'),
    ("'0:45'", '0.75'),
    ("'100:00'", '100'),
    ("'31'", '31'),
    ("'31.25'", '31.25'),
    ("'31:60'", 'null'),
    ("'DNP'", 'null'),
    ("''", 'null'),
    ('null', 'null'),
] %}
with

cases as (
    {% for minutes, expected in cases -%}
    select
        cast({{ minutes }} as string) as minutes,
        cast({{ expected }} as {{ dbt.type_float() }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    minutes,
    {{ minutes_from('minutes') }} as actual,
    expected
from cases
where {{ minutes_from('minutes') }} is distinct from expected

union all

select
    cast(expected as string) as minutes,
    {{ minutes_from('expected') }} as actual,
    expected
from cases
where {{ minutes_from('expected') }} is distinct from expected
