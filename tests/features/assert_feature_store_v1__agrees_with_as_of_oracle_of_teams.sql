-- The features of the game's two teams, computed in another way than the models
-- do it: no window frame and no int_ model, but a join of each sampled game with
-- every earlier one (`<`), numbered from the newest back, then grouped.
-- Written from the definitions of the features, not from the models' SQL. The
-- player's zone rates are taken from the store: the other oracle test checks them.
with

{{ oracle_sample(1) }},

team_totals as (
    select
        game_id,
        game_day,
        team_abbr,
        opponent_team_abbr,
        sum(points) as points,
        sum(minutes_played) as minutes,
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
        sum(case when has_complete_zones then three_makes end) as three_makes
    from box_scores
    where season_type = 'regular'
    group by game_id, game_day, team_abbr, opponent_team_abbr
    having
        sum(fg_attempts) >= 50
        and max(case when is_partial then 1 else 0 end) = 0
),

-- both box scores whole and final; one row for each team and shot zone
team_games as (
    select
        own.game_id,
        own.game_day,
        own.team_abbr,
        zones.zone,
        {{ exact('100.0 * own.points / own.possessions') }} as off_rating,
        {{ exact('100.0 * other.points / other.possessions') }} as def_rating,
        {{ exact(
            'own.possessions * 48 / (48 + 5'
            ' * greatest(round((own.minutes - 240) / 25), 0))'
        ) }} as pace,
        case zones.zone
            when 'paint' then other.paint_attempts
            when 'mid_range' then other.mid_range_attempts
            else other.three_attempts
        end as attempts_allowed,
        case zones.zone
            when 'paint' then other.paint_makes
            when 'mid_range' then other.mid_range_makes
            else other.three_makes
        end as makes_allowed
    from team_totals as own
    inner join team_totals as other
        on
            own.game_id = other.game_id
            and own.opponent_team_abbr = other.team_abbr
    cross join {{ ref('league_zone_defaults') }} as zones
),

sides as (
    select
        game_id,
        game_day,
        team_abbr
    from targets
    union distinct
    select
        game_id,
        game_day,
        opponent_team_abbr as team_abbr
    from targets
),

earlier_games as (
    select
        sides.game_id as target_game_id,
        team_games.team_abbr,
        team_games.zone,
        team_games.attempts_allowed,
        team_games.makes_allowed,
        cast(team_games.pace as {{ dbt.type_float() }}) as pace,
        cast(team_games.off_rating as {{ dbt.type_float() }}) as off_rating,
        cast(team_games.def_rating as {{ dbt.type_float() }}) as def_rating,
        row_number() over (
            partition by sides.game_id, sides.team_abbr, team_games.zone
            order by team_games.game_day desc, team_games.game_id desc
        ) as games_back
    from sides
    inner join team_games
        on
            sides.team_abbr = team_games.team_abbr
            and sides.game_day > team_games.game_day
),

history as (
    select
        target_game_id,
        team_abbr,
        zone,
        avg(case when games_back <= 10 then pace end) as pace_10,
        avg(pace) as pace_15,
        avg(case when games_back <= 10 then off_rating end) as off_rating_10,
        avg(def_rating) as def_rating_15,
        case
            when count(attempts_allowed) >= 5
                then sum(makes_allowed) / nullif(sum(attempts_allowed), 0)
        end as pct_allowed
    from earlier_games
    where games_back <= 15
    group by target_game_id, team_abbr, zone
),

-- the whole league in the 30 days before, or the fallback for a thin sample
league as (
    select
        dates.game_day,
        zones.zone,
        case
            when sum(team_games.attempts_allowed) >= max(zones.min_attempts)
                then
                    sum(team_games.makes_allowed)
                    / sum(team_games.attempts_allowed)
            else max(zones.field_goal_pct)
        end as pct
    from (select distinct game_day from targets) as dates
    cross join {{ ref('league_zone_defaults') }} as zones
    left join team_games
        on
            zones.zone = team_games.zone
            and dates.game_day > team_games.game_day
            and dates.game_day - 30 <= team_games.game_day
    group by dates.game_day, zones.zone
),

shooters as (
    select
        targets.*,
        case
            when stored.paint_rate_last_10 >= 40 then 'paint'
            when stored.three_pt_rate_last_10 >= 40 then 'three'
            when stored.mid_range_rate_last_10 >= 35 then 'mid_range'
            else 'paint'
        end as primary_zone,
        case
            when stored.paint_rate_last_10 >= 40 then stored.paint_rate_last_10
            when stored.three_pt_rate_last_10 >= 40
                then stored.three_pt_rate_last_10
            when stored.mid_range_rate_last_10 >= 35
                then stored.mid_range_rate_last_10
            else stored.paint_rate_last_10
        end as zone_rate
    from targets
    left join stored
        on
            targets.game_id = stored.game_id
            and targets.player_lookup = stored.player_lookup
),

matched as (
    select
        shooters.*,
        own.pace_10,
        own.off_rating_10,
        other.pace_15 as other_pace_15,
        other.def_rating_15 as other_def_rating_15,
        (own.pace_10 - other.pace_10) / 2 as pace_gap,
        100 * (other.pct_allowed - league.pct)
        * case when shooters.zone_rate < 50 then shooters.zone_rate / 50 else 1 end
            as advantage
    from shooters
    left join history as own
        on
            shooters.game_id = own.target_game_id
            and shooters.team_abbr = own.team_abbr
            and shooters.primary_zone = own.zone
    left join history as other
        on
            shooters.game_id = other.target_game_id
            and shooters.opponent_team_abbr = other.team_abbr
            and shooters.primary_zone = other.zone
    inner join league
        on
            shooters.game_day = league.game_day
            and shooters.primary_zone = league.zone
),

expected as (
    select
        matched.game_id,
        matched.player_lookup,
        case when matched.home_team_abbr = matched.team_abbr then 1 else 0 end
            as is_home,
        matched.other_def_rating_15 as opponent_def_rating,
        matched.other_pace_15 as opponent_pace,
        matched.pace_10 as team_pace_last_10,
        matched.off_rating_10 as team_off_rating_last_10,
        case
            when provided.player_lookup is not null then provided.pace_score
            when abs(matched.pace_gap) > 3 then 3 * sign(matched.pace_gap)
            else matched.pace_gap
        end as pace_score,
        case
            when provided.player_lookup is not null
                then provided.shot_zone_mismatch_score
            when matched.zone_rate is null then null
            when abs(matched.advantage) > 10 / 1.2
                then 10 * sign(matched.advantage)
            when abs(matched.advantage) > 5 then 1.2 * matched.advantage
            else matched.advantage
        end as shot_zone_mismatch_score
    from matched
    left join {{ ref('stg_player_composite_factors') }} as provided
        on
            matched.player_lookup = provided.player_lookup
            and matched.game_date = provided.game_date
),

{{ oracle_differences([
    'is_home',
    'opponent_def_rating',
    'opponent_pace',
    'team_pace_last_10',
    'team_off_rating_last_10',
    'pace_score',
    'shot_zone_mismatch_score',
]) }}
