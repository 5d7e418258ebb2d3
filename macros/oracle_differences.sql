{#- Compares CTE `expected` with the store: one row per value that differs by more
    than `tolerance`, relative above 1. A row that the store lacks differs in all that
    it should hold, and a sample without rows is a difference too: a check of
    nothing proves nothing. -#}
{% macro oracle_differences(columns, tolerance='1e-9') -%}
{%- set names, expected, stored = [], [], [] -%}
{%- for column in columns -%}
    {%- set start = "when '" ~ column ~ "' then cast(" -%}
    {%- set end = "." ~ column ~ " as " ~ dbt.type_float() ~ ")" -%}
    {%- do names.append("select '" ~ column ~ "' as column_name") -%}
    {%- do expected.append(start ~ "expected" ~ end) -%}
    {%- do stored.append(start ~ "stored" ~ end) -%}
{%- endfor -%}
compared as (
    select
        names.column_name,
        expected.game_id,
        expected.player_lookup,
        case names.column_name {{ expected | join(" ") }} end as expected,
        case names.column_name {{ stored | join(" ") }} end as actual
    from expected
    left join stored
        on
            expected.game_id = stored.game_id
            and expected.player_lookup = stored.player_lookup
    cross join ({{ names | join(" union all ") }}) as names
)

select * from compared
where
    (expected is null) <> (actual is null)
    or abs(expected - actual)
    > {{ tolerance }} * case when abs(expected) > 1 then abs(expected) else 1 end
union all
select
    'no row was compared' as column_name,
    cast(null as string) as game_id,
    cast(null as string) as player_lookup,
    1.0 as expected,
    cast(count(*) as {{ dbt.type_float() }}) as actual
from compared
having count(*) = 0
{%- endmacro %}
