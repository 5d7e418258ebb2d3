-- Seasons, or all seasons together, of which more than 1 % of the box-score rows
-- break the contract. A row that a newer one supersedes breaks nothing.
with

labelled as (
    select
        season_year,
        coalesce(rejection_reason, 'duplicate_key') <> 'duplicate_key' as is_broken
    from {{ ref('base_player_game_summary') }}
),

counted as (
    select
        season_year,
        count(*) as row_count,
        count(case when is_broken then 1 end) as broken_count
    from labelled
    where season_year is not null
    group by season_year

    union all

    -- rows without a readable season are counted here
    select
        cast(null as int64) as season_year,
        count(*) as row_count,
        count(case when is_broken then 1 end) as broken_count
    from labelled
)

select * from counted
where broken_count > 0.01 * row_count
