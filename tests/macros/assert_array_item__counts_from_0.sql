-- The first item has index 0; beyond either end, and in an empty array, there is none.
{%- set pair = dbt.array_construct(['1.5', '2.5'], dbt.type_float()) %}
{%- set empty = dbt.array_construct([], dbt.type_float()) %}
{%- set cases = [
    (pair, 0, '1.5'),
    (pair, 1, '2.5'),
    (pair, 2, 'null'),
    (pair, -1, 'null'),
    (pair, -2, 'null'),
    (empty, 0, 'null'),
    (empty, -1, 'null'),
] %}
with

cases as (
    {% for items, place, expected in cases -%}
    select
        {{ items }} as items,
        {{ place }} as place,
        cast({{ expected }} as {{ dbt.type_float() }}) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    place,
    {{ array_item('items', 'place') }} as actual,
    expected
from cases
where {{ array_item('items', 'place') }} is distinct from expected

union all

-- an index that is an expression
select
    place,
    {{ array_item('items', 'place - 1') }} as actual,
    1.5 as expected
from cases
where
    place = 1
    and {{ array_item('items', 'place - 1') }} is distinct from 1.5
