-- A column that the source has is cast; unreadable text is NULL, and so is a column
-- that it does not have.
{%- set cases = [
    ("'12'", '12'),
    ("'DNP'", 'null'),
    ('null', 'null'),
] %}
with

cases as (
    {% for points, expected in cases -%}
    select
        cast({{ points }} as string) as points,
        cast({{ expected }} as int64) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    points,
    {{ column_or_null(['points'], 'points', 'int64') }} as actual,
    expected
from cases
where {{ column_or_null(['points'], 'points', 'int64') }} is distinct from expected

union all

select
    points,
    {{ column_or_null(['points'], 'assists', 'int64') }} as actual,
    cast(null as int64) as expected
from cases
where {{ column_or_null(['points'], 'assists', 'int64') }} is not null
