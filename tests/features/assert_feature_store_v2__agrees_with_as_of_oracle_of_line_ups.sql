-- The games with a line-up like tonight's, computed in another way than the models do
-- it: no window frame and no int_ model, but joins with every earlier game (`>`),
-- numbered from the newest back, then grouped. Written from the definitions of the
-- features, not from the models' SQL.
with

{{ oracle_sample(2) }},

{{ oracle_history() }},

asked as (
    select distinct
        game_id,
        team_abbr,
        season_year,
        game_day
    from targets
),

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

weighted as (
    select
        *,
        {{ exact(
            'pow(0.5, games_back / 12.0) * exp(-minutes_that_differ / 20.0)', 9
        ) }} as weight
    from compared_line_ups
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        nullif(count(player_games.game_id), 0) as similar_lineup_games,
        sum(weighted.weight) as lineup_likeness,
        sum(weighted.weight * player_games.points) / nullif(sum(weighted.weight), 0)
            as points_avg_similar_lineups,
        sum(weighted.weight * player_games.fg_attempts)
        / nullif(sum(weighted.weight), 0) as fg_attempts_avg_similar_lineups,
        sum(weighted.weight * player_games.minutes)
        / nullif(sum(weighted.weight), 0) as minutes_avg_similar_lineups,
        sum(weighted.weight * player_games.usage)
        / nullif(
            sum(case when player_games.usage is not null then weighted.weight end), 0
        ) as usage_rate_similar_lineups
    from targets
    left join (
        weighted
        inner join player_games
            on
                weighted.past_game_id = player_games.game_id
                and weighted.team_abbr = player_games.team_abbr
    )
        on
            targets.game_id = weighted.game_id
            and targets.team_abbr = weighted.team_abbr
            and targets.player_lookup = player_games.player_lookup
    group by targets.game_id, targets.player_lookup
),

-- a load keeps four digits: the ninth of a weight may tip its last
{{ oracle_differences([
    'similar_lineup_games',
    'lineup_likeness',
    'points_avg_similar_lineups',
    'fg_attempts_avg_similar_lineups',
    'minutes_avg_similar_lineups',
    'usage_rate_similar_lineups',
], tolerance='1e-4') }}
