-- The last report on a player before tip-off.
{%- set relation = source('nba_analytics', 'player_availability') %}
{%- set columns = source_columns(relation) %}
with

reports as (
    select
        {{ column_or_null(columns, 'game_id', 'string') }} as game_id,
        {{ column_or_null(columns, 'player_lookup', 'string') }} as player_lookup,
        {{ column_or_null(columns, 'team_abbr', 'string') }} as team_abbr,
        {{ column_or_null(columns, 'status', 'string') }} as status,
        {{ column_or_null(columns, 'known_at', dbt.type_timestamp()) }} as known_at
    from {{ source_or_empty(relation, columns) }}
),

-- without a tip-off time, a report until 16:00 UTC counts: 11 or 12 on the
-- east coast, before any game of the day
known_before_tip_off as (
    select
        reports.*,
        row_number() over (
            partition by reports.game_id, reports.player_lookup
            order by reports.known_at desc, reports.status asc
        ) as recency
    from reports
    inner join {{ ref('stg_game_schedule') }} as games
        on reports.game_id = games.game_id
    where
        reports.known_at <= games.tip_off_at
        or (
            games.tip_off_at is null
            and reports.known_at <= cast(
                {{ dbt.dateadd('hour', 16, 'cast(games.game_date as timestamp)') }}
                as timestamp
            )
        )
),

final as (
    select
        game_id,
        player_lookup,
        team_abbr,
        status,
        known_at
    from known_before_tip_off
    where recency = 1
)

select * from final
