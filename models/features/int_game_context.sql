-- Both teams of a game as they came to it, one row for each of the two.
with

team_form as (
    select * from {{ ref('int_team_form') }}
),

final as (
    select
        own.game_id,
        own.team_abbr,
        case when substr(own.game_id, 14, 3) = own.team_abbr then 1 else 0 end
            as is_home,
        own.pace_last_10 as team_pace_last_10,
        own.offensive_rating_last_10 as team_off_rating_last_10,
        opponent.defensive_rating_last_15 as opponent_def_rating,
        opponent.pace_last_15 as opponent_pace,
        opponent.pace_last_10 as opponent_pace_last_10,
        opponent.net_rating_ewma_20 as opponent_net_rating_ewma_20,
        opponent.paint_pct_allowed_last_15,
        opponent.mid_range_pct_allowed_last_15,
        opponent.three_pct_allowed_last_15
    from team_form as own
    left join team_form as opponent
        on
            own.game_id = opponent.game_id
            and own.opponent_team_abbr = opponent.team_abbr
)

select * from final
