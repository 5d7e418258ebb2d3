-- Every team and game, played or upcoming, with what the team and its opponent
-- did in it. Filled on window games only (regular season, final), like
-- int_player_games. Possessions, ratings, pace and overtime come from the
-- players' box scores.
with

games as (
    select * from {{ ref('stg_game_schedule') }}
    where not is_scheduled
    union all
    select * from {{ ref('int_upcoming_games') }}
),

team_games as (
    select
        game_id,
        game_date,
        season_year,
        season_type,
        home_team_abbr as team_abbr,
        away_team_abbr as opponent_team_abbr,
        is_scheduled
    from games
    union all
    select
        game_id,
        game_date,
        season_year,
        season_type,
        away_team_abbr as team_abbr,
        home_team_abbr as opponent_team_abbr,
        is_scheduled
    from games
),

team_totals as (
    select
        game_id,
        team_abbr,
        sum(points) as points,
        sum(minutes_played) as minutes_played,
        sum(fg_attempts) as fg_attempts,
        sum(ft_attempts) as ft_attempts,
        sum(turnovers) as turnovers,
        sum(fg_attempts) + 0.44 * sum(ft_attempts)
        - sum(offensive_rebounds) + sum(turnovers) as possessions,
        sum(case when has_complete_zones then paint_attempts end)
            as paint_attempts,
        sum(case when has_complete_zones then paint_makes end) as paint_makes,
        sum(case when has_complete_zones then mid_range_attempts end)
            as mid_range_attempts,
        sum(case when has_complete_zones then mid_range_makes end)
            as mid_range_makes,
        sum(case when has_complete_zones then three_attempts end)
            as three_attempts,
        sum(case when has_complete_zones then three_makes end) as three_makes,
        count(case when is_partial then 1 end) as partial_rows
    from {{ ref('stg_player_game_summary') }}
    where is_played
    group by game_id, team_abbr
),

-- a game that is not final, or whose box score is torn, is no window game
box_scores as (
    select * from team_totals
    where
        fg_attempts >= 50
        and partial_rows = 0
),

measured as (
    select
        own.game_id,
        own.team_abbr,
        own.points,
        own.minutes_played,
        own.fg_attempts,
        own.ft_attempts,
        own.turnovers,
        100.0 * own.points / own.possessions as offensive_rating,
        100.0 * opponent.points / opponent.possessions as defensive_rating,
        own.possessions * 48
        / (48 + 5 * greatest(round((own.minutes_played - 240) / 25), 0)) as pace,
        opponent.paint_attempts as paint_attempts_allowed,
        opponent.paint_makes as paint_makes_allowed,
        opponent.mid_range_attempts as mid_range_attempts_allowed,
        opponent.mid_range_makes as mid_range_makes_allowed,
        opponent.three_attempts as three_attempts_allowed,
        opponent.three_makes as three_makes_allowed
    from box_scores as own
    inner join team_games
        on
            own.game_id = team_games.game_id
            and own.team_abbr = team_games.team_abbr
    inner join box_scores as opponent
        on
            team_games.game_id = opponent.game_id
            and team_games.opponent_team_abbr = opponent.team_abbr
    where team_games.season_type = 'regular'
),

joined as (
    select
        team_games.game_id,
        team_games.team_abbr,
        team_games.opponent_team_abbr,
        team_games.game_date,
        {{ game_day('team_games.game_date') }} as game_day,
        team_games.season_year,
        team_games.season_type,
        team_games.is_scheduled,
        measured.game_id is not null as is_window_game,
        measured.minutes_played,
        measured.fg_attempts,
        measured.ft_attempts,
        measured.turnovers,
        {{ exact('measured.offensive_rating') }} as offensive_rating,
        {{ exact('measured.defensive_rating') }} as defensive_rating,
        {{ exact('measured.pace') }} as pace,
        measured.paint_attempts_allowed,
        measured.paint_makes_allowed,
        measured.mid_range_attempts_allowed,
        measured.mid_range_makes_allowed,
        measured.three_attempts_allowed,
        measured.three_makes_allowed
    from team_games
    left join measured
        on
            team_games.game_id = measured.game_id
            and team_games.team_abbr = measured.team_abbr
),

final as (
    select
        *,
        count(case when is_window_game then game_id end)
            over ({{ prior_days('unbounded', entity=['team_abbr']) }})
            as games_played_prior
    from joined
)

select * from final
