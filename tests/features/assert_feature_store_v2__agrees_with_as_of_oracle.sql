-- The features that version 2 adds of the player and of the teams' games, computed in
-- another way than the models do it: no window frame and no int_ model, but a join of
-- each sampled game with every earlier one (`>`), numbered from the newest back, then
-- grouped. Written from the definitions of the features, not from the models' SQL.
with

{{ oracle_sample(2) }},

{{ oracle_history() }},

earlier_games as (
    select
        targets.game_id as target_game_id,
        targets.season_year = player_games.season_year as is_same_season,
        targets.team_abbr = player_games.team_abbr as is_same_team,
        targets.game_day - player_games.game_day as days_before,
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

history as (
    select
        player_lookup,
        target_game_id,
        count(*) as games,
        avg(case when games_back <= 20 then points end) as points_20,
        avg(case when games_back <= 40 then points end) as points_40,
        sum(case when is_same_season then points end) as points_season,
        sum(case when games_back <= 100 then points end) as points_100,
        sum(case when games_back = 1 then minutes end) as minutes_1,
        avg(case when games_back <= 3 then minutes end) as minutes_3,
        sum(case when is_same_season then minutes end) as minutes_season,
        sum(case when games_back <= 100 then minutes end) as minutes_100,
        sum(case when days_before <= 7 then minutes else 0 end) as minutes_7,
        avg(case when games_back <= 5 then fg_attempts end) as attempts_5,
        avg(case when games_back <= 10 then fg_attempts end) as attempts_10,
        avg(case when games_back <= 10 then ft_attempts end) as ft_attempts_10,
        avg(case when games_back <= 5 then usage end) as usage_5,
        avg(case when is_same_season then usage end) as usage_season,
        sum(case when is_same_season then 1 else 0 end) as games_season,
        sum(case when is_same_team then 1 else 0 end) as games_with_team,
        max(case when is_same_season and is_same_team then game_day end)
            as last_day_with_team,
        {{ oracle_mean('points', 5) }} as points_half_life_5,
        {{ oracle_mean('points', 12) }} as points_half_life_12,
        {{ oracle_mean('points', 30) }} as points_half_life_30,
        {{ oracle_mean('minutes', 2) }} as minutes_half_life_2,
        {{ oracle_mean('minutes', 30) }} as minutes_half_life_30,
        {{ oracle_mean('usage', 12) }} as usage_half_life_12
    from earlier_games
    group by player_lookup, target_game_id
),

-- games of the team since the player's last one for it
missed as (
    select
        targets.player_lookup,
        targets.game_id,
        count(team_games.game_id) as games
    from targets
    inner join history
        on
            targets.player_lookup = history.player_lookup
            and targets.game_id = history.target_game_id
    left join team_games
        on
            targets.team_abbr = team_games.team_abbr
            and targets.game_day > team_games.game_day
            and history.last_day_with_team < team_games.game_day
    where history.last_day_with_team is not null
    group by targets.player_lookup, targets.game_id
),

opponents as (
    select distinct
        game_id,
        game_day,
        opponent_team_abbr
    from targets
),

opponents_games as (
    select
        opponents.game_id as target_game_id,
        opponents.opponent_team_abbr,
        cast(team_games.net_rating as {{ dbt.type_float() }}) as net_rating,
        row_number() over (
            partition by opponents.game_id, opponents.opponent_team_abbr
            order by team_games.game_day desc
        ) as games_back
    from opponents
    inner join team_games
        on
            opponents.opponent_team_abbr = team_games.team_abbr
            and opponents.game_day > team_games.game_day
),

ratings as (
    select
        target_game_id,
        opponent_team_abbr,
        {{ oracle_mean('net_rating', 20) }} as net_rating
    from opponents_games
    group by target_game_id, opponent_team_abbr
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        history.points_20 as points_avg_last_20,
        history.points_40 as points_avg_last_40,
        history.points_half_life_5 as points_ewma_5,
        history.points_half_life_12 as points_ewma_12,
        history.points_half_life_30 as points_ewma_30,
        case
            when history.minutes_season >= 20
                then history.points_season / history.minutes_season
        end as points_per_minute_season,
        case
            when history.minutes_100 >= 20
                then history.points_100 / history.minutes_100
        end as points_per_minute_last_100,
        case
            when history.games >= 10
                then history.points_half_life_30 / history.minutes_half_life_30
        end as points_per_minute_ewma_30,
        history.minutes_1 as minutes_last_game,
        history.minutes_3 as minutes_avg_last_3,
        history.minutes_season / nullif(history.games_season, 0)
            as minutes_avg_season,
        history.minutes_half_life_2 as minutes_ewma_2,
        coalesce(history.minutes_7, 0) as minutes_in_last_7_days,
        history.attempts_5 as fg_attempts_avg_last_5,
        history.attempts_10 as fg_attempts_avg_last_10,
        history.ft_attempts_10 as ft_attempts_avg_last_10,
        history.usage_5 as usage_rate_last_5,
        history.usage_season as usage_rate_season,
        history.usage_half_life_12 as usage_rate_ewma_12,
        coalesce(history.games_season, 0) as games_played_season,
        coalesce(history.games_with_team, 0) as games_with_team,
        case when missed.games > 20 then 20 else missed.games end
            as team_games_missed,
        ratings.net_rating as opponent_net_rating_ewma_20
    from targets
    left join history
        on
            targets.player_lookup = history.player_lookup
            and targets.game_id = history.target_game_id
    left join missed
        on
            targets.player_lookup = missed.player_lookup
            and targets.game_id = missed.game_id
    left join ratings
        on
            targets.game_id = ratings.target_game_id
            and targets.opponent_team_abbr = ratings.opponent_team_abbr
),

-- the weights of the models are decimals of nine digits
{{ oracle_differences([
    'points_avg_last_20',
    'points_avg_last_40',
    'points_ewma_5',
    'points_ewma_12',
    'points_ewma_30',
    'points_per_minute_season',
    'points_per_minute_last_100',
    'points_per_minute_ewma_30',
    'minutes_last_game',
    'minutes_avg_last_3',
    'minutes_avg_season',
    'minutes_ewma_2',
    'minutes_in_last_7_days',
    'fg_attempts_avg_last_5',
    'fg_attempts_avg_last_10',
    'ft_attempts_avg_last_10',
    'usage_rate_last_5',
    'usage_rate_season',
    'usage_rate_ewma_12',
    'games_played_season',
    'games_with_team',
    'team_games_missed',
    'opponent_net_rating_ewma_20',
], tolerance='1e-8') }}
