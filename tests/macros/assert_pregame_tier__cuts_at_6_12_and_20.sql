-- Each limit from both sides.
{%- set cases = [
    ('0', "'bench'"),
    ('5.99', "'bench'"),
    ('6', "'role'"),
    ('11.99', "'role'"),
    ('12', "'starter'"),
    ('19.99', "'starter'"),
    ('20', "'star'"),
] %}
with

cases as (
    {% for points_avg, expected in cases -%}
    select
        cast({{ points_avg }} as {{ dbt.type_float() }}) as points_avg,
        cast({{ expected }} as string) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    points_avg,
    {{ pregame_tier('points_avg') }} as actual,
    expected
from cases
where {{ pregame_tier('points_avg') }} is distinct from expected
