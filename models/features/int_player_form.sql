-- Recent form: what a player did in the games before this one.
with

player_games as (
    select * from {{ ref('int_player_games') }}
),

windows as (
    select
        player_lookup,
        game_id,
        opponent_team_abbr,

        ---------- scoring
        avg(points) over ({{ prior_games(5) }}) as points_avg_last_5,
        avg(points) over ({{ prior_games(10) }}) as points_avg_last_10,
        avg(points) over ({{ prior_games(20) }}) as points_avg_last_20,
        avg(points) over ({{ prior_games(40) }}) as points_avg_last_40,
        avg(points) over ({{ prior_games_this_season() }}) as points_avg_season,
        count(points) over ({{ prior_games(10) }}) as games_last_10,
        sum(points) over ({{ prior_games(10) }}) as points_sum_last_10,
        sum(points * points) over ({{ prior_games(10) }})
            as points_square_sum_last_10,
        sum(points) over ({{ prior_games(100) }}) as points_sum_last_100,
        sum(points) over ({{ prior_games_this_season() }}) as points_sum_season,

        ---------- opportunity
        {{ mean_over('minutes_played', prior_games(1)) }} as minutes_last_game,
        {{ mean_over('minutes_played', prior_games(3)) }} as minutes_avg_last_3,
        {{ mean_over('minutes_played', prior_games(10)) }}
            as minutes_avg_last_10,
        {{ mean_over('minutes_played', prior_games_this_season()) }}
            as minutes_avg_season,
        sum(minutes_played) over ({{ prior_games(10) }}) as minutes_sum_last_10,
        sum(minutes_played) over ({{ prior_games(100) }}) as minutes_sum_last_100,
        sum(minutes_played) over ({{ prior_games_this_season() }})
            as minutes_sum_season,
        avg(fg_attempts) over ({{ prior_games(5) }}) as fg_attempts_avg_last_5,
        avg(fg_attempts) over ({{ prior_games(10) }}) as fg_attempts_avg_last_10,
        avg(ft_attempts) over ({{ prior_games(10) }}) as ft_attempts_avg_last_10,
        {{ mean_over('usage_rate', prior_games(10)) }} as usage_rate_last_10,
        {{ mean_over('usage_rate', prior_games(5)) }} as usage_rate_last_5,
        {{ mean_over('usage_rate', prior_games_this_season()) }}
            as usage_rate_season,

        ---------- against this opponent: 1,095 days are three years
        avg(points) over (
            {{ prior_days(1095, entity=['player_lookup', 'opponent_team_abbr']) }}
        ) as points_avg_against_opponent,
        count(points) over (
            {{ prior_days(1095, entity=['player_lookup', 'opponent_team_abbr']) }}
        ) as games_against_opponent

    from player_games
),

final as (
    select
        player_lookup,
        game_id,
        points_avg_last_5,
        points_avg_last_10,
        points_avg_last_20,
        points_avg_last_40,
        points_avg_season,
        -- sample deviation from exact sums, so that it does not depend on the
        -- order of addition
        case
            when games_last_10 >= 2
                then
                    sqrt(
                        cast(
                            games_last_10 * points_square_sum_last_10
                            - points_sum_last_10 * points_sum_last_10
                            as {{ dbt.type_float() }}
                        )
                        / (games_last_10 * (games_last_10 - 1))
                    )
        end as points_std_last_10,
        minutes_last_game,
        minutes_avg_last_3,
        minutes_avg_last_10,
        minutes_avg_season,
        fg_attempts_avg_last_5,
        fg_attempts_avg_last_10,
        ft_attempts_avg_last_10,
        usage_rate_last_10,
        usage_rate_last_5,
        usage_rate_season,
        {{ points_per_minute('points_sum_last_10', 'minutes_sum_last_10') }}
            as points_per_minute_last_10,
        {{ points_per_minute('points_sum_last_100', 'minutes_sum_last_100') }}
            as points_per_minute_last_100,
        {{ points_per_minute('points_sum_season', 'minutes_sum_season') }}
            as points_per_minute_season,
        points_avg_last_5 - points_avg_season as momentum_score,
        case
            when points_avg_season is null then null
            when games_against_opponent = 0 then 0
            else
                games_against_opponent
                / (games_against_opponent + 5.0)
                * (points_avg_against_opponent - points_avg_season)
        end as matchup_history_score
    from windows
)

select * from final
