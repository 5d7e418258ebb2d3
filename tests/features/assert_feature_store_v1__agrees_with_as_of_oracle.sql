-- The player's own features, computed in another way than the models do it: no
-- window frame and no int_ model, but a join of each sampled game with every
-- earlier one (`game_date <`), numbered from the newest back, then grouped.
-- Written from the definitions of the features, not from the models' SQL.
with

{{ oracle_sample(1) }},

-- a team's plays, where both box scores of the game are whole and final
team_totals as (
    select
        game_id,
        team_abbr,
        sum(fg_attempts) + 0.44 * sum(ft_attempts) + sum(turnovers) as plays
    from box_scores
    where season_type = 'regular'
    group by game_id, team_abbr
    having
        sum(fg_attempts) >= 50
        and max(case when is_partial then 1 else 0 end) = 0
),

-- what counts: played, regular season, final
player_games as (
    select
        box_scores.*,
        coalesce(
            box_scores.usage_rate,
            {{ exact(
                '100 * 48 * (box_scores.fg_attempts'
                ' + 0.44 * box_scores.ft_attempts + box_scores.turnovers)'
                ' / nullif(box_scores.minutes_played * team_totals.plays, 0)'
            ) }}
        ) as usage_or_formula,
        box_scores.assisted_fg_makes + box_scores.unassisted_fg_makes
            as recorded_fg_makes
    from box_scores
    left join team_totals
        on
            box_scores.game_id = team_totals.game_id
            and box_scores.team_abbr = team_totals.team_abbr
    where
        box_scores.season_type = 'regular'
        and not box_scores.is_partial
),

earlier_games as (
    select
        targets.game_id as target_game_id,
        targets.season_year as target_season,
        targets.opponent_team_abbr as target_opponent,
        targets.game_day - player_games.game_day as days_before,
        player_games.*,
        cast(player_games.minutes_played as {{ dbt.type_float() }}) as minutes,
        case
            when player_games.usage_or_formula <= 100
                then
                    cast(
                        player_games.usage_or_formula as {{ dbt.type_float() }}
                    )
        end as usage,
        row_number() over (
            partition by targets.player_lookup, targets.game_id
            order by player_games.game_date desc, player_games.game_id desc
        ) as games_back
    from targets
    inner join player_games
        on
            targets.player_lookup = player_games.player_lookup
            and targets.game_date > player_games.game_date
),

numbered as (
    select
        earlier_games.*,
        row_number() over (
            partition by earlier_games.player_lookup, earlier_games.target_game_id
            order by
                case when earlier_games.has_complete_zones then 0 else 1 end,
                earlier_games.games_back
        ) as zone_games_back,
        case when day_before.game_id is not null then 1 else 0 end
            as is_back_to_back
    from earlier_games
    left join player_games as day_before
        on
            earlier_games.player_lookup = day_before.player_lookup
            and earlier_games.game_day - 1 = day_before.game_day
),

-- shots of the last 10 games with complete zones among the last 40
shots as (
    select
        player_lookup,
        target_game_id,
        sum(paint_attempts) as paint,
        sum(mid_range_attempts) as mid_range,
        sum(three_attempts) as three,
        nullif(
            sum(paint_attempts) + sum(mid_range_attempts) + sum(three_attempts), 0
        ) as attempts
    from numbered
    where
        has_complete_zones
        and zone_games_back <= 10
        and games_back <= 40
    group by player_lookup, target_game_id
    having count(*) >= 5
),

history as (
    select
        player_lookup,
        target_game_id,
        count(*) as games,
        avg(case when games_back <= 5 then points end) as points_5,
        avg(case when games_back <= 10 then points end) as points_10,
        avg(case when season_year = target_season then points end)
            as points_season,
        stddev_samp(case when games_back <= 10 then points end) as deviation_10,
        avg(case when games_back <= 10 then minutes end) as minutes_10,
        avg(case when games_back <= 5 then usage end) as usage_5,
        avg(case when games_back <= 10 then usage end) as usage_10,
        avg(case when season_year = target_season then usage end)
            as usage_season,
        sum(case when games_back <= 10 then points end)
        / sum(case when games_back <= 10 then minutes end) as points_per_minute,
        sum(case when games_back <= 10 then minutes_played end) as minutes_sum,
        100.0
        * sum(
            case
                when games_back <= 10 and recorded_fg_makes is not null
                    then assisted_fg_makes
            end
        )
        / nullif(sum(case when games_back <= 10 then recorded_fg_makes end), 0)
            as assisted_rate,
        sum(
            case
                when
                    opponent_team_abbr = target_opponent
                    and days_before <= 1095
                    then 1
                else 0
            end
        ) as meetings,
        avg(
            case
                when
                    opponent_team_abbr = target_opponent
                    and days_before <= 1095
                    then points
            end
        ) as points_in_meetings,
        min(days_before) as days_since,
        sum(case when days_before <= 7 then 1 else 0 end) as games_7,
        sum(case when days_before <= 7 then minutes_played end) as minutes_7,
        avg(case when days_before <= 7 then minutes end) as minutes_mean_7,
        sum(case when days_before <= 14 then is_back_to_back else 0 end)
            as back_to_backs_14
    from numbered
    group by player_lookup, target_game_id
),

rated as (
    select
        *,
        100
        + case
            when days_since = 1 then -15
            when days_since >= 3 then 5
            else 0
        end
        + case when games_7 >= 4 then -10 else 0 end
        + case when minutes_7 > 240 then -10 else 0 end
        + case when minutes_mean_7 > 35 then -8 else 0 end
        + case
            when back_to_backs_14 = 0 then 0
            when back_to_backs_14 = 1 then -5
            else -12
        end as freshness,
        0.3 * (usage_5 - usage_season) as usage_gap
    from history
),

expected as (
    select
        targets.game_id,
        targets.player_lookup,
        coalesce(rated.games, 0) as games_played_prior,
        rated.points_5 as points_avg_last_5,
        rated.points_10 as points_avg_last_10,
        rated.points_season as points_avg_season,
        rated.deviation_10 as points_std_last_10,
        rated.minutes_10 as minutes_avg_last_10,
        rated.usage_10 as usage_rate_last_10,
        case when rated.minutes_sum >= 20 then rated.points_per_minute end
            as points_per_minute_last_10,
        rated.points_5 - rated.points_season as momentum_score,
        coalesce(rated.games_7, 0) as games_in_last_7_days,
        case
            when rated.points_season is null then null
            when rated.meetings = 0 then 0
            else
                rated.meetings / (rated.meetings + 5.0)
                * (rated.points_in_meetings - rated.points_season)
        end as matchup_history_score,
        100.0 * shots.paint / shots.attempts as paint_rate_last_10,
        100.0 * shots.mid_range / shots.attempts as mid_range_rate_last_10,
        100.0 * shots.three / shots.attempts as three_pt_rate_last_10,
        rated.assisted_rate as assisted_rate_last_10,
        case when rated.days_since > 10 then 10 else rated.days_since end
            as days_rest,
        case
            when rated.days_since = 1 then 1
            when rated.days_since > 1 then 0
        end as back_to_back,
        case
            when provided.player_lookup is not null then provided.fatigue_score
            when rated.freshness > 100 then 100
            else rated.freshness
        end as fatigue_score,
        case
            when provided.player_lookup is not null
                then provided.usage_spike_score
            when abs(rated.usage_gap) > 3 then 3 * sign(rated.usage_gap)
            else rated.usage_gap
        end as usage_spike_score
    from targets
    left join rated
        on
            targets.player_lookup = rated.player_lookup
            and targets.game_id = rated.target_game_id
    left join shots
        on
            targets.player_lookup = shots.player_lookup
            and targets.game_id = shots.target_game_id
    left join {{ ref('stg_player_composite_factors') }} as provided
        on
            targets.player_lookup = provided.player_lookup
            and targets.game_date = provided.game_date
),

{{ oracle_differences([
    'games_played_prior',
    'points_avg_last_5',
    'points_avg_last_10',
    'points_avg_season',
    'points_std_last_10',
    'minutes_avg_last_10',
    'usage_rate_last_10',
    'points_per_minute_last_10',
    'momentum_score',
    'games_in_last_7_days',
    'matchup_history_score',
    'paint_rate_last_10',
    'mid_range_rate_last_10',
    'three_pt_rate_last_10',
    'assisted_rate_last_10',
    'days_rest',
    'back_to_back',
    'fatigue_score',
    'usage_spike_score',
]) }}
