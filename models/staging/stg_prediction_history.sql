-- What the user's own systems predicted, once per system, player and game.
{%- set relation = source('nba_predictions', 'prediction_accuracy') %}
{%- set columns = source_columns(relation) %}
with

grades as (
    select
        {{ column_or_null(columns, 'system_id', 'string') }} as system_id,
        {{ column_or_null(columns, 'player_lookup', 'string') }} as player_lookup,
        {{ column_or_null(columns, 'game_id', 'string') }} as game_id,
        {{ column_or_null(columns, 'game_date', 'date') }} as game_date,
        {{ column_or_null(columns, 'predicted_points', dbt.type_float()) }}
            as predicted_points,
        {{ column_or_null(columns, 'actual_points', 'int64') }} as actual_points,
        coalesce({{ column_or_null(columns, 'is_voided', 'bool') }}, false)
            as is_voided,
        {{ column_or_null(columns, 'graded_at', dbt.type_timestamp()) }} as graded_at
    from {{ source_or_empty(relation, columns) }}
),

dated as (
    select
        *,
        {{ game_day('game_date') }} as game_day,
        cast(graded_at as date) as graded_date
    from grades
    where
        system_id is not null
        and player_lookup is not null
        and game_id is not null
        and game_date is not null
        and predicted_points between -20 and 120
),

-- superseded rows, and rows of games to come, say how a day's grades were made
ranked as (
    select
        *,
        max(game_day) over (partition by system_id, graded_date)
        - min(game_day) over (partition by system_id, graded_date)
            as graded_days,
        row_number() over (
            partition by system_id, player_lookup, game_id
            order by
                graded_at desc nulls last,
                is_voided desc,
                predicted_points asc,
                actual_points asc nulls last,
                game_date asc
        ) as recency
    from dated
),

-- a grade is an outcome: none is known from the clock's date on
final as (
    select
        system_id,
        player_lookup,
        game_id,
        game_date,
        predicted_points,
        actual_points,
        is_voided,
        graded_at,
        case when graded_at is not null then graded_days > 30 end
            as is_graded_in_bulk
    from ranked
    where
        recency = 1
        and game_date < {{ as_of_date() }}
)

select * from final
