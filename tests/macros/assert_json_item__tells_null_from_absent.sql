-- A key that is absent is not one whose value is null; the name of a key may end, or
-- begin, that of another.
{%- set cases = [
    ("'{\"pace\": 1.5, \"is_home\": 1}'", "'1.5'"),
    ("'{\"is_home\":1,\"pace\":-2e-05}'", "'-2e-05'"),
    ("'{\"pace\": null}'", "'null'"),
    ("'{\"pace\" : 1}'", 'null'),
    ("'{\"team_pace\": 1, \"pace_score\": 2}'", 'null'),
    ("'{\"team_pace\": 1, \"pace\": 3}'", "'3'"),
    ("'{}'", 'null'),
    ('null', 'null'),
] %}
with

cases as (
    {% for object, expected in cases -%}
    select
        cast({{ object }} as string) as object,
        cast({{ expected }} as string) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    object,
    {{ json_item('object', 'pace') }} as actual,
    expected
from cases
where {{ json_item('object', 'pace') }} is distinct from expected
