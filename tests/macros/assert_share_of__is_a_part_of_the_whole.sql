-- Nine digits; all of it when there is no other; NULL where there is nothing to share
-- or a part is unknown.
{%- set cases = [
    ('1', '1', '0.5'),
    ('10', '20', '0.333333333'),
    ('20', '10', '0.666666667'),
    ('7.5', '0', '1'),
    ('0', '7.5', '0'),
    ('0', '0', 'null'),
    ('null', '1', 'null'),
    ('1', 'null', 'null'),
] %}
{%- set float = dbt.type_float() %}
with

cases as (
    {% for own, others, expected in cases -%}
    select
        {{ exact('cast(' ~ own ~ ' as ' ~ float ~ ')') }} as own,
        {{ exact('cast(' ~ others ~ ' as ' ~ float ~ ')') }} as others,
        cast({{ expected }} as {{ float }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    own,
    others,
    {{ share_of('own', 'others') }} as actual,
    expected
from cases
where cast({{ share_of('own', 'others') }} as {{ float }}) is distinct from expected
