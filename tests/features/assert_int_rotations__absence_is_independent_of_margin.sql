-- Who is missing may not tell how the game went. Benches play games that are decided,
-- so were bench players counted, fewer would be "absent" in them than in close games.
-- Of the counted players of a team's last game, the share missing tonight: its means
-- over team-games that ended within 8 points and beyond 18 lie within 3 standard
-- errors. On nine seasons they differ by 0.9 of them; were players of 15 minutes
-- counted, by 4.7.
with

team_points as (
    select
        game_id,
        team_abbr,
        opponent_team_abbr,
        sum(points) as points
    from {{ ref('stg_player_game_summary') }}
    where
        is_played
        and season_type = 'regular'
    group by game_id, team_abbr, opponent_team_abbr
),

margins as (
    select
        own.game_id,
        own.team_abbr,
        abs(own.points - other.points) as margin
    from team_points as own
    inner join team_points as other
        on
            own.game_id = other.game_id
            and own.opponent_team_abbr = other.team_abbr
),

team_games as (
    select
        game_id,
        team_abbr,
        avg(case when is_newly_absent then 1.0 else 0.0 end) as absent_share
    from {{ ref('int_rotations') }}
    where
        is_present
        or is_newly_absent
    group by game_id, team_abbr
),

labelled as (
    select
        team_games.absent_share,
        case
            when margins.margin < 8 then 'close'
            when margins.margin > 18 then 'decided'
        end as kind
    from team_games
    inner join margins
        on
            team_games.game_id = margins.game_id
            and team_games.team_abbr = margins.team_abbr
),

measured as (
    select
        kind,
        count(*) as team_games,
        avg(absent_share) as absent_share,
        var_samp(absent_share) / count(*) as squared_error
    from labelled
    group by kind
)

select
    close_games.absent_share as absent_in_close_games,
    decided_games.absent_share as absent_in_decided_games,
    close_games.team_games + decided_games.team_games as team_games
from measured as close_games
inner join measured as decided_games
    on
        close_games.kind = 'close'
        and decided_games.kind = 'decided'
where
    abs(close_games.absent_share - decided_games.absent_share)
    > 3 * sqrt(close_games.squared_error + decided_games.squared_error)
