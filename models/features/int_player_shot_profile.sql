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
        has_complete_zones,
        paint_attempts,
        mid_range_attempts,
        three_attempts,
        count(case when has_complete_zones then game_id end)
            over ({{ prior_days('unbounded') }}) as zone_games_prior,
        100.0
        * sum(assisted_fg_makes) over ({{ prior_games(10) }})
        / nullif(
            sum(assisted_fg_makes + unassisted_fg_makes)
                over ({{ prior_games(10) }}),
            0
        ) as assisted_rate_last_10
    from player_games
),

-- every game paired with each of its last ten games with complete zones
steps as (
    {% for step in range(1, 11) -%}
    select {{ step }} as games_back{{ " union all" if not loop.last }}
    {% endfor %}
),

zone_games as (
    select
        player_lookup,
        zone_games_prior,
        games_played_prior,
        paint_attempts,
        mid_range_attempts,
        three_attempts
    from numbered
    where has_complete_zones
),

zones as (
    select
        numbered.player_lookup,
        numbered.game_id,
        count(*) as zone_games,
        sum(zone_games.paint_attempts) as paint_attempts,
        sum(zone_games.mid_range_attempts) as mid_range_attempts,
        sum(zone_games.three_attempts) as three_attempts,
        sum(
            zone_games.paint_attempts
            + zone_games.mid_range_attempts
            + zone_games.three_attempts
        ) as attempts
    from numbered
    cross join steps
    inner join zone_games
        on
            numbered.player_lookup = zone_games.player_lookup
            and numbered.zone_games_prior - steps.games_back
            = zone_games.zone_games_prior
    where zone_games.games_played_prior >= numbered.games_played_prior - 40
    group by numbered.player_lookup, numbered.game_id
),

final as (
    select
        numbered.player_lookup,
        numbered.game_id,
        zones.zone_games,
        100.0 * zones.paint_attempts / nullif(zones.attempts, 0)
            as paint_rate_last_10,
        100.0 * zones.mid_range_attempts / nullif(zones.attempts, 0)
            as mid_range_rate_last_10,
        100.0 * zones.three_attempts / nullif(zones.attempts, 0)
            as three_pt_rate_last_10,
        numbered.assisted_rate_last_10
    from numbered
    left join zones
        on
            numbered.player_lookup = zones.player_lookup
            and numbered.game_id = zones.game_id
            and zones.zone_games >= 5
)

select * from final
