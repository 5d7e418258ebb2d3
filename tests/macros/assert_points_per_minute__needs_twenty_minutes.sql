-- The limit from both sides; without points it is 0, without minutes NULL.
{%- set cases = [
    ('30', '20', '1.5'),
    ('30', '19.9999', 'null'),
    ('0', '40', '0'),
    ('15', '60', '0.25'),
    ('0', '0', 'null'),
    ('10', 'null', 'null'),
] %}
{%- set float = dbt.type_float() %}
with

cases as (
    {% for points, minutes, expected in cases -%}
    select
        cast({{ points }} as int64) as points,
        {{ exact('cast(' ~ minutes ~ ' as ' ~ float ~ ')') }} as minutes,
        cast({{ expected }} as {{ float }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    points,
    minutes,
    {{ points_per_minute('points', 'minutes') }} as actual,
    expected
from cases
where {{ points_per_minute('points', 'minutes') }} is distinct from expected
