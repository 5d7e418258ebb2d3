-- Every appearance, played or expected. The box score is filled on window games
-- only (played, regular season, final): what is NULL here cannot enter a window.
with

-- usage as the source has it, else by the box score's formula; an impossible
-- value is no value
played as (
    select
        box_scores.*,
        box_scores.season_type = 'regular'
        and not box_scores.is_partial as is_window_game,
        coalesce(
            box_scores.usage_rate,
            {{ exact(
                '100 * 48 * (box_scores.fg_attempts'
                ' + 0.44 * box_scores.ft_attempts + box_scores.turnovers)'
                ' / nullif(box_scores.minutes_played * (teams.fg_attempts'
                ' + 0.44 * teams.ft_attempts + teams.turnovers), 0)'
            ) }}
        ) as known_usage_rate
    from {{ ref('stg_player_game_summary') }} as box_scores
    left join {{ ref('int_team_games') }} as teams
        on
            box_scores.game_id = teams.game_id
            and box_scores.team_abbr = teams.team_abbr
    where box_scores.is_played
),

expected as (
    select
        expected_players.player_lookup,
        expected_players.game_id,
        expected_players.team_abbr,
        games.game_date,
        games.season_year,
        games.season_type,
        games.home_team_abbr,
        games.away_team_abbr
    from {{ ref('int_expected_players') }} as expected_players
    inner join {{ ref('int_upcoming_games') }} as games
        on expected_players.game_id = games.game_id
),

appearances as (
    select
        player_lookup,
        game_id,
        game_date,
        season_year,
        season_type,
        team_abbr,
        opponent_team_abbr,
        false as is_scheduled,
        is_window_game,
        case when is_window_game then minutes_played end as minutes_played,
        case when is_window_game then points end as points,
        case when is_window_game then fg_attempts end as fg_attempts,
        case when is_window_game then ft_attempts end as ft_attempts,
        case
            when is_window_game and known_usage_rate <= 100
                then known_usage_rate
        end as usage_rate,
        case when is_window_game then paint_attempts end as paint_attempts,
        case when is_window_game then mid_range_attempts end
            as mid_range_attempts,
        case when is_window_game then three_attempts end as three_attempts,
        is_window_game and has_complete_zones as has_complete_zones,
        case
            when is_window_game and unassisted_fg_makes is not null
                then assisted_fg_makes
        end as assisted_fg_makes,
        case
            when is_window_game and assisted_fg_makes is not null
                then unassisted_fg_makes
        end as unassisted_fg_makes
    from played

    union all

    select
        player_lookup,
        game_id,
        game_date,
        season_year,
        season_type,
        team_abbr,
        case
            when team_abbr = home_team_abbr then away_team_abbr
            else home_team_abbr
        end as opponent_team_abbr,
        true as is_scheduled,
        false as is_window_game,
        null as minutes_played,
        null as points,
        null as fg_attempts,
        null as ft_attempts,
        null as usage_rate,
        null as paint_attempts,
        null as mid_range_attempts,
        null as three_attempts,
        false as has_complete_zones,
        null as assisted_fg_makes,
        null as unassisted_fg_makes
    from expected
),

dated as (
    select
        *,
        {{ game_day('game_date') }} as game_day
    from appearances
),

final as (
    select
        *,
        count(case when is_window_game then game_id end)
            over ({{ prior_days('unbounded') }}) as games_played_prior
    from dated
)

select * from final
