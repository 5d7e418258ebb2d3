-- The four composite factors: the user's own where all four are there, else all
-- four by formula; composite_source says which.
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

league as (
    select
        game_date,
        max(case when zone = 'paint' then field_goal_pct end) as paint_pct,
        max(case when zone = 'mid_range' then field_goal_pct end) as mid_range_pct,
        max(case when zone = 'three' then field_goal_pct end) as three_pct
    from {{ ref('int_league_zones') }}
    group by game_date
),

inputs as (
    select
        player_games.player_lookup,
        player_games.game_id,
        player_games.game_date,
        rest.fatigue_score,
        form.usage_rate_last_5,
        form.usage_rate_season,
        context.team_pace_last_10,
        context.opponent_pace_last_10,
        shots.paint_rate_last_10,
        case
            when shots.paint_rate_last_10 >= 40 then 'paint'
            when shots.three_pt_rate_last_10 >= 40 then 'three'
            when shots.mid_range_rate_last_10 >= 35 then 'mid_range'
            -- a balanced shooter is treated as a paint scorer
            when shots.paint_rate_last_10 is not null then 'paint'
        end as primary_zone,
        shots.mid_range_rate_last_10,
        shots.three_pt_rate_last_10,
        100 * (context.paint_pct_allowed_last_15 - league.paint_pct)
            as paint_gap,
        100 * (context.mid_range_pct_allowed_last_15 - league.mid_range_pct)
            as mid_range_gap,
        100 * (context.three_pct_allowed_last_15 - league.three_pct)
            as three_gap
    from player_games
    inner join {{ ref('int_player_rest') }} as rest
        on
            player_games.player_lookup = rest.player_lookup
            and player_games.game_id = rest.game_id
    inner join {{ ref('int_player_form') }} as form
        on
            player_games.player_lookup = form.player_lookup
            and player_games.game_id = form.game_id
    inner join {{ ref('int_player_shot_profile') }} as shots
        on
            player_games.player_lookup = shots.player_lookup
            and player_games.game_id = shots.game_id
    inner join {{ ref('int_game_context') }} as context
        on
            player_games.game_id = context.game_id
            and player_games.team_abbr = context.team_abbr
    inner join league
        on player_games.game_date = league.game_date
),

mismatch as (
    select
        *,
        case primary_zone
            when 'paint' then paint_gap * least(paint_rate_last_10, 50) / 50
            when 'three' then three_gap * least(three_pt_rate_last_10, 50) / 50
            when 'mid_range'
                then mid_range_gap * least(mid_range_rate_last_10, 50) / 50
        end as zone_advantage
    from inputs
),

computed as (
    select
        player_lookup,
        game_id,
        game_date,
        fatigue_score,
        {{ clamp(
            'case when abs(zone_advantage) > 5 then 1.2 * zone_advantage'
            ' else zone_advantage end',
            -10, 10
        ) }} as shot_zone_mismatch_score,
        {{ clamp('(team_pace_last_10 - opponent_pace_last_10) / 2', -3, 3) }}
            as pace_score,
        {{ clamp('0.3 * (usage_rate_last_5 - usage_rate_season)', -3, 3) }}
            as usage_spike_score
    from mismatch
),

final as (
    select
        computed.player_lookup,
        computed.game_id,
        case when provided.player_lookup is null then 'computed' else 'source' end
            as composite_source,
        case
            when provided.player_lookup is null then computed.fatigue_score
            else provided.fatigue_score
        end as fatigue_score,
        case
            when provided.player_lookup is null
                then computed.shot_zone_mismatch_score
            else provided.shot_zone_mismatch_score
        end as shot_zone_mismatch_score,
        case
            when provided.player_lookup is null then computed.pace_score
            else provided.pace_score
        end as pace_score,
        case
            when provided.player_lookup is null then computed.usage_spike_score
            else provided.usage_spike_score
        end as usage_spike_score
    from computed
    left join {{ ref('stg_player_composite_factors') }} as provided
        on
            computed.player_lookup = provided.player_lookup
            and computed.game_date = provided.game_date
)

select * from final
