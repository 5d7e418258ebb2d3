-- Where a player's shots come from: the last 10 games with complete zones among
-- the last 40, and no rate from fewer than 5.
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

numbered as (
    select
        player_lookup,
        game_id,
        games_played_prior,
        case when has_complete_zones then paint_attempts end as paint_attempts,
        case when has_complete_zones then mid_range_attempts end
            as mid_range_attempts,
        case when has_complete_zones then three_attempts end as three_attempts,
        assisted_fg_makes,
        unassisted_fg_makes,
        count(case when has_complete_zones then game_id end)
            over ({{ prior_days('unbounded') }}) as zone_games_prior
    from player_games
),

windows as (
    select
        player_lookup,
        game_id,

        ---------- the last 40 games, those with complete zones
        count(paint_attempts) over ({{ prior_games(40) }}) as zone_games_last_40,
        sum(paint_attempts) over ({{ prior_games(40) }}) as paint_last_40,
        sum(mid_range_attempts) over ({{ prior_games(40) }}) as mid_range_last_40,
        sum(three_attempts) over ({{ prior_games(40) }}) as three_last_40,

        ---------- the last 10 games with complete zones, however far back
        sum(paint_attempts) over ({{ prior_zone_games(10) }}) as paint_last_10,
        sum(mid_range_attempts) over ({{ prior_zone_games(10) }})
            as mid_range_last_10,
        sum(three_attempts) over ({{ prior_zone_games(10) }}) as three_last_10,

        ---------- the last 10 games
        100.0
        * sum(assisted_fg_makes) over ({{ prior_games(10) }})
        / nullif(
            sum(assisted_fg_makes + unassisted_fg_makes)
                over ({{ prior_games(10) }}),
            0
        ) as assisted_rate_last_10
    from numbered
),

-- where the last 40 games hold ten with zones, these are the last ten; else all
chosen as (
    select
        player_lookup,
        game_id,
        assisted_rate_last_10,
        case when zone_games_last_40 >= 5 then least(zone_games_last_40, 10) end
            as zone_games,
        case
            when zone_games_last_40 >= 10 then paint_last_10
            when zone_games_last_40 >= 5 then paint_last_40
        end as paint,
        case
            when zone_games_last_40 >= 10 then mid_range_last_10
            when zone_games_last_40 >= 5 then mid_range_last_40
        end as mid_range,
        case
            when zone_games_last_40 >= 10 then three_last_10
            when zone_games_last_40 >= 5 then three_last_40
        end as three
    from windows
),

final as (
    select
        player_lookup,
        game_id,
        zone_games,
        100.0 * paint / nullif(paint + mid_range + three, 0) as paint_rate_last_10,
        100.0 * mid_range / nullif(paint + mid_range + three, 0)
            as mid_range_rate_last_10,
        100.0 * three / nullif(paint + mid_range + three, 0)
            as three_pt_rate_last_10,
        assisted_rate_last_10
    from chosen
)

select * from final
