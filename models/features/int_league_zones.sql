-- The league's field-goal percentage by zone over the 30 days before a date.
with

team_games as (
    select * from {{ ref('int_team_games') }}
),

league_days as (
    select
        game_date,
        game_day,
        sum(paint_makes_allowed) as paint_makes,
        sum(paint_attempts_allowed) as paint_attempts,
        sum(mid_range_makes_allowed) as mid_range_makes,
        sum(mid_range_attempts_allowed) as mid_range_attempts,
        sum(three_makes_allowed) as three_makes,
        sum(three_attempts_allowed) as three_attempts
    from team_games
    group by game_date, game_day
),

windows as (
    {% for zone in ['paint', 'mid_range', 'three'] -%}
    select
        game_date,
        '{{ zone }}' as zone,
        sum({{ zone }}_makes) over ({{ prior_days(30, entity=none) }}) as makes,
        sum({{ zone }}_attempts) over ({{ prior_days(30, entity=none) }})
            as attempts
    from league_days
    {{ "union all" if not loop.last }}
    {% endfor %}
),

final as (
    select
        windows.game_date,
        windows.zone,
        windows.makes,
        windows.attempts,
        case
            when windows.attempts >= defaults.min_attempts
                then 1.0 * windows.makes / windows.attempts
            else defaults.field_goal_pct
        end as field_goal_pct
    from windows
    inner join {{ ref('league_zone_defaults') }} as defaults
        on windows.zone = defaults.zone
)

select * from final
