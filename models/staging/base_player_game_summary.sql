-- Every box-score row of the source, typed, with the reason it breaks the
-- contract, if it does. A table, so that one build reads the source once.
{%- set relation = source('nba_analytics', 'player_game_summary') %}
{%- set columns = source_columns(relation, required=true) %}
with

source_rows as (
    select
        ---------- ids
        {{ column_or_null(columns, 'game_id', 'string') }} as game_id,
        {{ column_or_null(columns, 'player_lookup', 'string') }} as player_lookup,
        {{ column_or_null(columns, 'player_full_name', 'string') }}
            as player_full_name,
        {{ column_or_null(columns, 'team_abbr', 'string') }} as team_abbr,
        {{ column_or_null(columns, 'opponent_team_abbr', 'string') }}
            as opponent_team_abbr,

        ---------- when
        {{ column_or_null(columns, 'game_date', 'date') }} as game_date,
        {{ column_or_null(columns, 'season_year', 'int64') }} as season_year,
        coalesce(
            {{ column_or_null(columns, 'season_type', 'string') }}, 'regular'
        ) as season_type,

        ---------- box score
        {{ minutes_from('minutes_played') }} as minutes_played,
        -- what cannot be read; a number as text would depend on the engine
        case
            when {{ minutes_from('minutes_played') }} is null
                then cast(minutes_played as string)
        end as minutes_text,
        {{ column_or_null(columns, 'points', 'int64') }} as points,
        {{ column_or_null(columns, 'offensive_rebounds', 'int64') }}
            as offensive_rebounds,
        {{ column_or_null(columns, 'turnovers', 'int64') }} as turnovers,
        {{ column_or_null(columns, 'fg_attempts', 'int64') }} as fg_attempts,
        {{ column_or_null(columns, 'fg_makes', 'int64') }} as fg_makes,
        {{ column_or_null(columns, 'three_pt_attempts', 'int64') }}
            as three_pt_attempts,
        {{ column_or_null(columns, 'three_pt_makes', 'int64') }} as three_pt_makes,
        {{ column_or_null(columns, 'ft_attempts', 'int64') }} as ft_attempts,
        {{ column_or_null(columns, 'ft_makes', 'int64') }} as ft_makes,
        {{ column_or_null(columns, 'usage_rate', dbt.type_float()) }} as usage_rate,

        ---------- shot zones
        {{ column_or_null(columns, 'paint_attempts', 'int64') }} as paint_attempts,
        {{ column_or_null(columns, 'paint_makes', 'int64') }} as paint_makes,
        {{ column_or_null(columns, 'mid_range_attempts', 'int64') }}
            as mid_range_attempts,
        {{ column_or_null(columns, 'mid_range_makes', 'int64') }} as mid_range_makes,
        {{ column_or_null(columns, 'three_attempts_pbp', 'int64') }}
            as three_attempts_pbp,
        {{ column_or_null(columns, 'three_makes_pbp', 'int64') }} as three_makes_pbp,
        {{ column_or_null(columns, 'has_complete_shot_zones', 'bool') }}
            as has_complete_shot_zones,
        {{ column_or_null(columns, 'shot_zones_estimated', 'bool') }}
            as shot_zones_estimated,
        {{ column_or_null(columns, 'assisted_fg_makes', 'int64') }}
            as assisted_fg_makes,
        {{ column_or_null(columns, 'unassisted_fg_makes', 'int64') }}
            as unassisted_fg_makes,

        ---------- state
        coalesce({{ column_or_null(columns, 'is_active', 'bool') }}, true)
        and not coalesce({{ column_or_null(columns, 'is_dnp', 'bool') }}, false)
            as is_active,
        coalesce(
            {{ column_or_null(columns, 'is_partial_game_data', 'bool') }}, false
        ) as is_partial,
        {{ column_or_null(columns, 'processed_at', dbt.type_timestamp()) }}
            as processed_at

    from {{ relation }}
),

known_teams as (
    select * from {{ ref('teams') }}
),

-- what a single row can be checked for; the first reason counts
checked as (
    select
        *,
        coalesce(is_active and minutes_played > 0, false) as is_played,
        case
            when
                game_id is null
                or player_lookup is null
                or game_date is null
                or season_year is null
                then 'missing_key'
            when not {{ matches('game_id', '^[0-9]{8}_[A-Z]{3}_[A-Z]{3}$') }}
                then 'malformed_game_id'
            when
                substr(game_id, 1, 8)
                <> replace(cast(game_date as string), '-', '')
                then 'date_differs_from_game_id'
            when
                concat(substr(game_id, 10, 3), substr(game_id, 14, 3))
                not in (
                    concat(team_abbr, opponent_team_abbr),
                    concat(opponent_team_abbr, team_abbr)
                )
                or team_abbr is null
                or opponent_team_abbr is null
                then 'teams_differ_from_game_id'
            when
                team_abbr not in (select known.team_abbr from known_teams as known)
                or opponent_team_abbr
                not in (select known.team_abbr from known_teams as known)
                then 'unknown_team'
            when season_type not in ('regular', 'playoffs')
                then 'unknown_season_type'
            when
                is_active
                and minutes_played is null
                and minutes_text is not null
                then 'unreadable_minutes'
            when not coalesce(minutes_played between 0 and 75, true)
                then 'minutes_out_of_range'
            when
                is_active
                and minutes_played > 0
                and (
                    points is null
                    or offensive_rebounds is null
                    or turnovers is null
                    or fg_attempts is null
                    or fg_makes is null
                    or three_pt_attempts is null
                    or three_pt_makes is null
                    or ft_attempts is null
                    or ft_makes is null
                )
                then 'played_without_box_score'
            when
                least(
                    coalesce(points, 0),
                    coalesce(offensive_rebounds, 0),
                    coalesce(turnovers, 0),
                    coalesce(fg_makes, 0),
                    coalesce(three_pt_makes, 0),
                    coalesce(ft_makes, 0),
                    coalesce(paint_makes, 0),
                    coalesce(mid_range_makes, 0),
                    coalesce(paint_attempts, 0),
                    coalesce(mid_range_attempts, 0),
                    coalesce(three_attempts_pbp, 0),
                    coalesce(three_makes_pbp, 0),
                    coalesce(assisted_fg_makes, 0),
                    coalesce(unassisted_fg_makes, 0)
                ) < 0
                then 'negative_count'
            when
                fg_makes > fg_attempts
                or three_pt_makes > three_pt_attempts
                or ft_makes > ft_attempts
                or three_pt_attempts > fg_attempts
                or paint_makes > paint_attempts
                or mid_range_makes > mid_range_attempts
                or three_makes_pbp > three_attempts_pbp
                then 'more_makes_than_attempts'
            when points <> 2 * fg_makes + three_pt_makes + ft_makes
                then 'points_differ_from_makes'
        end as row_rejection_reason
    from source_rows
),

-- of several good rows for one key the newest counts
ranked as (
    select
        *,
        row_number() over (
            partition by game_id, player_lookup, row_rejection_reason is null
            order by
                case when processed_at is null then 1 else 0 end asc,
                processed_at desc,
                is_partial asc,
                minutes_played desc,
                points desc,
                -- only so that two builds choose alike
                team_abbr asc,
                fg_attempts desc,
                fg_makes desc,
                three_pt_attempts desc,
                ft_attempts desc,
                turnovers desc,
                offensive_rebounds desc,
                usage_rate desc,
                paint_attempts desc,
                mid_range_attempts desc,
                assisted_fg_makes desc
        ) as duplicate_rank
    from checked
),

final as (
    select
        *,
        case
            when row_rejection_reason is not null then row_rejection_reason
            when duplicate_rank > 1 then 'duplicate_key'
        end as rejection_reason
    from ranked
)

select * from final
