-- How tonight's role differs from the usual one, computed in another way than the
-- models do it: no window frame and no int_ model, but joins with every earlier game
-- (`>`), numbered from the newest back, then grouped. Written from the definitions of
-- the features, not from the models' SQL. The sample is small: each player-game asks
-- for the line-ups of up to 64 others, each as it was before it.
with

{{ oracle_sample(2, divisor=8) }},

{{ oracle_history() }},

earlier_games as (
    select
        targets.game_id as target_game_id,
        targets.team_abbr = player_games.team_abbr as is_same_team,
        player_games.*,
        row_number() over (
            partition by targets.player_lookup, targets.game_id
            order by player_games.game_day desc
        ) as games_back
    from targets
    inner join player_games
        on
            targets.player_lookup = player_games.player_lookup
            and targets.game_day > player_games.game_day
),

games_for_the_team as (
    select * from earlier_games
    where
        is_same_team
        and games_back <= 64
),

asked as (
    select
        game_id,
        team_abbr,
        season_year,
        game_day
    from targets
    union distinct
    select
        game_id,
        team_abbr,
        season_year,
        game_day
    from games_for_the_team
),

{{ oracle_rotations() }},

{{ oracle_roles() }},

usual as (
    select
        games_for_the_team.target_game_id,
        games_for_the_team.player_lookup,
        {{ oracle_mean('roles.minutes_above', 8) }} as minutes_above,
        {{ oracle_mean('roles.minutes_rank', 8) }} as minutes_rank,
        {{ oracle_mean('roles.minutes_share', 8) }} as minutes_share,
        {{ oracle_mean('roles.points_of_others', 8) }} as points_of_others
    from games_for_the_team
    inner join roles
        on
            games_for_the_team.game_id = roles.game_id
            and games_for_the_team.player_lookup = roles.player_lookup
    group by games_for_the_team.target_game_id, games_for_the_team.player_lookup
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        roles.minutes_above - usual.minutes_above as minutes_above_change,
        roles.minutes_rank - usual.minutes_rank as minutes_rank_change,
        roles.minutes_share - usual.minutes_share as minutes_share_change,
        roles.points_of_others - usual.points_of_others
            as points_of_others_change
    from targets
    left join roles
        on
            targets.game_id = roles.game_id
            and targets.player_lookup = roles.player_lookup
    left join usual
        on
            targets.game_id = usual.target_game_id
            and targets.player_lookup = usual.player_lookup
),

-- a load keeps four digits: the ninth of a weight may tip its last
{{ oracle_differences([
    'minutes_above_change',
    'minutes_rank_change',
    'minutes_share_change',
    'points_of_others_change',
], tolerance='1e-4') }}
