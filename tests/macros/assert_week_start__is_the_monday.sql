-- 2024-01-01 was a Monday, 2024-01-08 and 2020-02-24 too.
with

cases as (
    select
        cast('2024-01-01' as date) as game_date,
        cast('2024-01-01' as date) as expected
    union all
    select
        cast('2024-01-07' as date) as game_date,
        cast('2024-01-01' as date) as expected
    union all
    select
        cast('2024-01-08' as date) as game_date,
        cast('2024-01-08' as date) as expected
    union all
    select
        cast('2020-03-01' as date) as game_date,
        cast('2020-02-24' as date) as expected
),

final as (
    select
        *,
        {{ week_start('game_date') }} as actual
    from cases
)

select * from final
where actual <> expected
