-- Exponential averages: what a player did before the game, where an appearance
-- counts half as much as one a few games later.
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

averages as (
    select
        player_lookup,
        game_id,

        ---------- scoring
        {{ exponential_mean('points', 5) }} as points_ewma_5,
        {{ exponential_mean('points', 12) }} as points_ewma_12,
        {{ exponential_mean('points', 30) }} as points_ewma_30,

        ---------- opportunity
        {{ exponential_mean('minutes_played', 2) }} as minutes_ewma_2,
        {{ exponential_mean('minutes_played', 5) }} as minutes_ewma_5,
        {{ exponential_mean('minutes_played', 30) }} as minutes_ewma_30,
        {{ exponential_mean('fg_attempts', 5) }} as fg_attempts_ewma_5,
        {{ exponential_mean('usage_rate', 12) }} as usage_rate_ewma_12,
        games_played_prior
    from player_games
),

final as (
    select
        player_lookup,
        game_id,
        points_ewma_5,
        points_ewma_12,
        points_ewma_30,
        minutes_ewma_2,
        minutes_ewma_5,
        fg_attempts_ewma_5,
        usage_rate_ewma_12,
        -- a few seconds on the floor say nothing
        case
            when games_played_prior >= 10 then points_ewma_30 / minutes_ewma_30
        end as points_per_minute_ewma_30
    from averages
)

select * from final
