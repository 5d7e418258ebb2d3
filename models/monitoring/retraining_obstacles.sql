-- Why no model should learn from the tables as they are.
{{ config(materialized='view') }}
with

limits as (
    select
        max(case when limit_name = 'box_score_days' then limit_value end)
            as box_score_days,
        max(case when limit_name = 'missing_box_scores' then limit_value end)
            as missing_box_scores
    from {{ ref('retraining_limits') }}
),

-- a game whose rows were all rejected has none either
recorded as (
    select distinct game_id from {{ ref('stg_player_game_summary') }}
),

missing as (
    select
        count(*) as games,
        min(games.game_date) as first_date,
        max(games.game_date) as last_date
    from {{ ref('stg_game_schedule') }} as games
    cross join limits
    left join recorded
        on games.game_id = recorded.game_id
    where
        games.season_type = 'regular'
        and games.game_date < {{ as_of_date() }}
        and limits.box_score_days
        >= {{ dbt.datediff('games.game_date', as_of_date(), 'day') }}
        and recorded.game_id is null
),

final as (
    select
        'missing_box_scores' as obstacle,
        concat(
            {{ number_text('missing.games') }}, ' games of ',
            cast(missing.first_date as string), ' to ',
            cast(missing.last_date as string), ' are over and have no box score, and ',
            {{ number_text('limits.missing_box_scores') }}, ' are the limit. Import ',
            'them (nba-ml import) and build; a game that was called off leaves the ',
            'schedule.'
        ) as explanation
    from missing
    cross join limits
    where missing.games > limits.missing_box_scores

    union all

    select
        rule as obstacle,
        concat('The data are broken: ', explanation, ' What to do: ', remedy)
            as explanation
    from {{ ref('alerts') }}
    where
        is_open
        and area = 'data'
        and severity = 'critical'
)

select * from final
