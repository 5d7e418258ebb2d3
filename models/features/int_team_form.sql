-- How a team played in the games before this one.
with

team_games as (
    select * from {{ ref('int_team_games') }}
),

windows as (
    select
        game_id,
        team_abbr,
        opponent_team_abbr,
        game_date,
        {{ mean_over('pace', prior_games(10, entity=['team_abbr'])) }}
            as pace_last_10,
        {{ mean_over('pace', prior_games(15, entity=['team_abbr'])) }}
            as pace_last_15,
        {{ mean_over('offensive_rating', prior_games(10, entity=['team_abbr'])) }}
            as offensive_rating_last_10,
        {{ mean_over('defensive_rating', prior_games(15, entity=['team_abbr'])) }}
            as defensive_rating_last_15,
        {{ exponential_mean(
            '(offensive_rating - defensive_rating)', 20, entity=['team_abbr']
        ) }} as net_rating_ewma_20,

        ---------- field goals allowed by zone
        count(paint_attempts_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }})
            as zone_games_last_15,
        sum(paint_makes_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }}) as paint_makes,
        sum(paint_attempts_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }}) as paint_attempts,
        sum(mid_range_makes_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }}) as mid_range_makes,
        sum(mid_range_attempts_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }})
            as mid_range_attempts,
        sum(three_makes_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }}) as three_makes,
        sum(three_attempts_allowed)
            over ({{ prior_games(15, entity=['team_abbr']) }}) as three_attempts
    from team_games
),

final as (
    select
        game_id,
        team_abbr,
        opponent_team_abbr,
        game_date,
        pace_last_10,
        pace_last_15,
        offensive_rating_last_10,
        defensive_rating_last_15,
        net_rating_ewma_20,
        -- fewer than 5 games with zones say nothing about a defence
        case
            when zone_games_last_15 >= 5
                then 1.0 * paint_makes / nullif(paint_attempts, 0)
        end as paint_pct_allowed_last_15,
        case
            when zone_games_last_15 >= 5
                then 1.0 * mid_range_makes / nullif(mid_range_attempts, 0)
        end as mid_range_pct_allowed_last_15,
        case
            when zone_games_last_15 >= 5
                then 1.0 * three_makes / nullif(three_attempts, 0)
        end as three_pct_allowed_last_15
    from windows
)

select * from final
