-- The depth chart, who is missing and the line-up of the team's last game, computed in
-- another way than the models do it: no window frame and no int_ model, but joins with
-- every earlier game (`>`), numbered from the newest back, then grouped. Written from
-- the definitions of the features, not from the models' SQL.
with

{{ oracle_sample(2) }},

{{ oracle_history() }},

{{ oracle_last_games() }},

{{ oracle_rotations() }},

{{ oracle_roles() }},

teams as (
    select
        game_id,
        team_abbr,
        sum(case when is_present then points_load else 0 end) as present_points,
        sum(case when not is_present then minutes_load else 0 end)
            as absent_minutes,
        sum(case when not is_present then attempts_load else 0 end)
            as absent_attempts,
        sum(case when not is_present then points_load else 0 end)
            as absent_points,
        sum(case when is_newly_absent then points_load else 0 end)
            as newly_absent_points
    from rotations
    group by game_id, team_abbr
),

last_line_ups as (
    select
        targets.game_id,
        targets.player_lookup,
        max(case when appearances.game_id is null then 0 else 1 end) as has_played,
        coalesce(sum(rotations.points_load), 0) as points_of_others
    from targets
    inner join last_games
        on
            targets.game_id = last_games.target_game_id
            and targets.team_abbr = last_games.team_abbr
    left join box_scores as appearances
        on
            last_games.game_id = appearances.game_id
            and targets.player_lookup = appearances.player_lookup
    left join rotations
        on
            last_games.game_id = rotations.game_id
            and last_games.team_abbr = rotations.team_abbr
            and targets.player_lookup <> rotations.player_lookup
            and rotations.is_present
    group by targets.game_id, targets.player_lookup
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        last_line_ups.has_played as played_last_team_game,
        cast(loads.points_load as {{ dbt.type_float() }})
        / nullif(loads.points_load + last_line_ups.points_of_others, 0)
            as points_share_last_lineup,
        roles.minutes_share,
        roles.attempts_share,
        roles.points_share,
        roles.points_rank,
        roles.minutes_above,
        roles.points_above,
        roles.attempts_of_others,
        roles.points_of_others,
        teams.present_points,
        teams.absent_minutes,
        teams.absent_attempts,
        teams.absent_points,
        teams.newly_absent_points
    from targets
    left join loads
        on
            targets.game_id = loads.game_id
            and targets.player_lookup = loads.player_lookup
    left join last_line_ups
        on
            targets.game_id = last_line_ups.game_id
            and targets.player_lookup = last_line_ups.player_lookup
    left join roles
        on
            targets.game_id = roles.game_id
            and targets.player_lookup = roles.player_lookup
    left join teams
        on
            targets.game_id = teams.game_id
            and targets.team_abbr = teams.team_abbr
),

-- a load keeps four digits: the ninth of a weight may tip its last
{{ oracle_differences([
    'played_last_team_game',
    'points_share_last_lineup',
    'minutes_share',
    'attempts_share',
    'points_share',
    'points_rank',
    'minutes_above',
    'points_above',
    'attempts_of_others',
    'points_of_others',
    'present_points',
    'absent_minutes',
    'absent_attempts',
    'absent_points',
    'newly_absent_points',
], tolerance='1e-4') }}
