-- Days since 1970: consecutive dates are one apart, over a year's end and a leap day
-- too.
{%- set cases = [
    ("'1970-01-01'", 0),
    ("'1970-01-02'", 1),
    ("'2023-12-31'", 19722),
    ("'2024-01-01'", 19723),
    ("'2024-02-29'", 19782),
    ("'2024-03-01'", 19783),
    ('null', 'null'),
] %}
with

cases as (
    {% for game_date, expected in cases -%}
    select
        cast({{ game_date }} as date) as game_date,
        cast({{ expected }} as int64) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    game_date,
    {{ game_day('game_date') }} as actual,
    expected
from cases
where {{ game_day('game_date') }} is distinct from expected
