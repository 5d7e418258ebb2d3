-- The games with a line-up like tonight's, and like that of the team's last game,
-- computed in another way than the models do it: no window frame and no int_ model, but
-- joins with every earlier game (`>`), numbered from the newest back, then grouped.
-- Written from the definitions of the features, not from the models' SQL.
with

{{ oracle_sample(2) }},

{{ oracle_history() }},

{{ oracle_last_games() }},

{{ oracle_rotations() }},

-- minutes of the rotation that are there in one of the two games only
compared_line_ups as (
    select
        past.game_id,
        past.team_abbr,
        past.past_game_id,
        past.games_back,
        sum(
            case
                when rotations.is_present and appearances.game_id is null
                    then rotations.minutes_load
                when not rotations.is_present and appearances.game_id is not null
                    then rotations.minutes_load
                else 0
            end
        ) as minutes_that_differ
    from past
    inner join rotations
        on
            past.game_id = rotations.game_id
            and past.team_abbr = rotations.team_abbr
    left join player_games as appearances
        on
            past.past_game_id = appearances.game_id
            and past.team_abbr = appearances.team_abbr
            and rotations.player_lookup = appearances.player_lookup
    where past.games_back <= 40
    group by past.game_id, past.team_abbr, past.past_game_id, past.games_back
),

-- the last game's line-up is compared with that game, too
comparisons as (
    select
        targets.game_id,
        targets.player_lookup,
        targets.team_abbr,
        'tonight' as line_up,
        compared_line_ups.past_game_id,
        compared_line_ups.games_back,
        compared_line_ups.minutes_that_differ
    from targets
    inner join compared_line_ups
        on
            targets.game_id = compared_line_ups.game_id
            and targets.team_abbr = compared_line_ups.team_abbr
    union all
    select
        targets.game_id,
        targets.player_lookup,
        targets.team_abbr,
        'last game' as line_up,
        compared_line_ups.past_game_id,
        compared_line_ups.games_back + 1 as games_back,
        compared_line_ups.minutes_that_differ
    from targets
    inner join last_games
        on
            targets.game_id = last_games.target_game_id
            and targets.team_abbr = last_games.team_abbr
    inner join compared_line_ups
        on
            last_games.game_id = compared_line_ups.game_id
            and last_games.team_abbr = compared_line_ups.team_abbr
    union all
    select
        targets.game_id,
        targets.player_lookup,
        targets.team_abbr,
        'last game' as line_up,
        last_games.game_id as past_game_id,
        1 as games_back,
        0 as minutes_that_differ
    from targets
    inner join last_games
        on
            targets.game_id = last_games.target_game_id
            and targets.team_abbr = last_games.team_abbr
),

weighted as (
    select
        *,
        {{ exact(
            'pow(0.5, games_back / 12.0) * exp(-minutes_that_differ / 20.0)', 9
        ) }} as weight
    from comparisons
),

forms as (
    select
        weighted.game_id,
        weighted.player_lookup,
        weighted.line_up,
        count(*) as games,
        sum(weighted.weight) as likeness,
        sum(weighted.weight * player_games.points) / nullif(sum(weighted.weight), 0)
            as points,
        sum(weighted.weight * player_games.fg_attempts)
        / nullif(sum(weighted.weight), 0) as fg_attempts,
        sum(weighted.weight * player_games.minutes)
        / nullif(sum(weighted.weight), 0) as minutes,
        sum(weighted.weight * player_games.usage)
        / nullif(
            sum(case when player_games.usage is not null then weighted.weight end), 0
        ) as usage
    from weighted
    inner join player_games
        on
            weighted.past_game_id = player_games.game_id
            and weighted.team_abbr = player_games.team_abbr
            and weighted.player_lookup = player_games.player_lookup
    group by weighted.game_id, weighted.player_lookup, weighted.line_up
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        tonight.games as similar_lineup_games,
        tonight.likeness as lineup_likeness,
        tonight.points as points_avg_similar_lineups,
        tonight.fg_attempts as fg_attempts_avg_similar_lineups,
        tonight.minutes as minutes_avg_similar_lineups,
        tonight.usage as usage_rate_similar_lineups,
        last_game.likeness as last_lineup_likeness,
        last_game.points as points_avg_last_lineup,
        last_game.fg_attempts as fg_attempts_avg_last_lineup,
        last_game.minutes as minutes_avg_last_lineup
    from targets
    left join forms as tonight
        on
            targets.game_id = tonight.game_id
            and targets.player_lookup = tonight.player_lookup
            and tonight.line_up = 'tonight'
    left join forms as last_game
        on
            targets.game_id = last_game.game_id
            and targets.player_lookup = last_game.player_lookup
            and last_game.line_up = 'last game'
),

-- a load keeps four digits: the ninth of a weight may tip its last
{{ oracle_differences([
    'similar_lineup_games',
    'lineup_likeness',
    'points_avg_similar_lineups',
    'fg_attempts_avg_similar_lineups',
    'minutes_avg_similar_lineups',
    'usage_rate_similar_lineups',
    'last_lineup_likeness',
    'points_avg_last_lineup',
    'fg_attempts_avg_last_lineup',
    'minutes_avg_last_lineup',
], tolerance='1e-4') }}
