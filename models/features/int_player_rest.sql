-- Rest and workload: how fresh a player comes to the game.
with

player_games as (
    select
        *,
        case when is_window_game then game_day end as window_game_day
    from {{ ref('int_player_games') }}
),

last_game as (
    select
        player_lookup,
        game_id,
        game_day,
        games_played_prior,
        is_window_game,
        minutes_played,
        game_day - max(window_game_day) over ({{ prior_days('unbounded') }})
            as days_since_last_game
    from player_games
),

windows as (
    select
        player_lookup,
        game_id,
        -- ten days and more are the same to a body
        {{ clamp('days_since_last_game', 0, 10) }} as days_rest,
        case
            when days_since_last_game is null then null
            when days_since_last_game = 1 then 1
            else 0
        end as back_to_back,
        count(minutes_played) over ({{ prior_days(7) }}) as games_in_last_7_days,
        sum(minutes_played) over ({{ prior_days(7) }}) as minutes_in_last_7_days,
        {{ mean_over('minutes_played', prior_days(7)) }}
            as minutes_avg_in_last_7_days,
        count(
            case when is_window_game and days_since_last_game = 1 then game_id end
        ) over ({{ prior_days(14) }}) as back_to_backs_in_last_14_days
    from last_game
),

final as (
    select
        player_lookup,
        game_id,
        days_rest,
        back_to_back,
        games_in_last_7_days,
        minutes_in_last_7_days,
        minutes_avg_in_last_7_days,
        back_to_backs_in_last_14_days,
        -- 100 is fresh. No source has ages, so age costs nothing here.
        case
            when days_rest is not null
                then
                    {{ clamp(
                        '100'
                        ' + case when back_to_back = 1 then -15'
                        ' when days_rest >= 3 then 5 else 0 end'
                        ' + case when games_in_last_7_days >= 4 then -10 else 0 end'
                        ' + case when minutes_in_last_7_days > 240'
                        ' then -10 else 0 end'
                        ' + case when minutes_avg_in_last_7_days > 35'
                        ' then -8 else 0 end'
                        ' + case when back_to_backs_in_last_14_days >= 2 then -12'
                        ' when back_to_backs_in_last_14_days = 1 then -5 else 0 end',
                        0, 100
                    ) }}
        end as fatigue_score
    from windows
)

select * from final
