-- Games, played or to come. Box scores fill in games that the schedule lacks;
-- without a schedule they are all there is.
{%- set relation = source('nba_analytics', 'game_schedule') %}
{%- set columns = source_columns(relation) %}
with

schedule as (
    select
        {{ column_or_null(columns, 'game_id', 'string') }} as game_id,
        {{ column_or_null(columns, 'game_date', 'date') }} as game_date,
        {{ column_or_null(columns, 'season_year', 'int64') }} as season_year,
        {{ column_or_null(columns, 'season_type', 'string') }} as season_type,
        {{ column_or_null(columns, 'tip_off_at', dbt.type_timestamp()) }}
            as tip_off_at
    from {{ source_or_empty(relation, columns) }}
),

scheduled as (
    select
        game_id,
        min(game_date) as game_date,
        min(season_year) as season_year,
        min(season_type) as season_type,
        min(tip_off_at) as tip_off_at
    from schedule
    where {{ matches('game_id', '^[0-9]{8}_[A-Z]{3}_[A-Z]{3}$') }}
    group by game_id
),

box_score_games as (
    select
        game_id,
        min(game_date) as game_date,
        min(season_year) as season_year,
        min(season_type) as season_type
    from {{ ref('base_player_game_summary') }}
    where rejection_reason is null
    group by game_id
),

games as (
    select
        coalesce(scheduled.game_id, box_score_games.game_id) as game_id,
        -- the date of a box score was checked against its game_id
        coalesce(box_score_games.game_date, scheduled.game_date) as game_date,
        coalesce(scheduled.season_year, box_score_games.season_year)
            as season_year,
        coalesce(scheduled.season_type, box_score_games.season_type)
            as season_type,
        scheduled.tip_off_at,
        case when scheduled.game_id is null then 'box_scores' else 'schedule' end
            as schedule_source
    from scheduled
    full outer join box_score_games
        on scheduled.game_id = box_score_games.game_id
),

final as (
    select
        game_id,
        game_date,
        season_year,
        season_type,
        substr(game_id, 10, 3) as away_team_abbr,
        substr(game_id, 14, 3) as home_team_abbr,
        tip_off_at,
        schedule_source,
        game_date >= {{ as_of_date() }} as is_scheduled
    from games
)

select * from final
