-- Parts of a season within which features are comparable: the first 30 days have
-- thin season averages, and rotations change at the All-Star break, which is
-- taken to be on 15 February (the real one is within days of it; in 2020-21, on
-- 5 to 10 March).
with

seasons as (
    select
        season_year,
        min(game_date) as opening_date,
        cast(
            concat(cast(season_year + 1 as string), '-02-15') as date
        ) as break_date
    from {{ ref('stg_game_schedule') }}
    where season_type = 'regular'
    group by season_year
),

final as (
    select
        season_year,
        'first_30_days' as season_phase,
        opening_date as first_date,
        cast({{ dbt.dateadd('day', 29, 'opening_date') }} as date) as last_date
    from seasons

    union all

    select
        season_year,
        'to_all_star_break' as season_phase,
        cast({{ dbt.dateadd('day', 30, 'opening_date') }} as date) as first_date,
        cast({{ dbt.dateadd('day', -1, 'break_date') }} as date) as last_date
    from seasons

    union all

    select
        season_year,
        'after_break' as season_phase,
        greatest(
            break_date,
            cast({{ dbt.dateadd('day', 30, 'opening_date') }} as date)
        ) as first_date,
        cast({{ dbt.dateadd('day', 365, 'opening_date') }} as date) as last_date
    from seasons
)

select * from final
