-- The pattern counts anywhere unless it is anchored; NULL is neither a match nor none.
{%- set cases = [
    ("'20240110_BOS_NYK'", 'true'),
    ("'20240110_BOS_NYKX'", 'false'),
    ("'x20240110_BOS_NYK'", 'false'),
    ("'20240110_bos_nyk'", 'false'),
    ('null', 'null'),
] %}
with

cases as (
    {% for game_id, expected in cases -%}
    select
        cast({{ game_id }} as string) as game_id,
        cast({{ expected }} as bool) as expected
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    game_id,
    {{ matches('game_id', '^[0-9]{8}_[A-Z]{3}_[A-Z]{3}$') }} as actual,
    expected
from cases
where {{ matches('game_id', '^[0-9]{8}_[A-Z]{3}_[A-Z]{3}$') }} is distinct from expected

union all

select
    game_id,
    {{ matches('game_id', 'BOS') }} as actual,
    expected
from cases
where expected and not {{ matches('game_id', 'BOS') }}
