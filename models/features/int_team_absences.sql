-- How much of a team's rotation is there tonight and how much is missing.
with

final as (
    select
        game_id,
        team_abbr,
        sum(case when is_present then points_load else 0 end) as present_points,
        sum(case when is_present then 0 else minutes_load end) as absent_minutes,
        sum(case when is_present then 0 else attempts_load end)
            as absent_attempts,
        sum(case when is_present then 0 else points_load end) as absent_points,
        sum(case when is_newly_absent then points_load else 0 end)
            as newly_absent_points
    from {{ ref('int_rotations') }}
    group by game_id, team_abbr
)

select * from final
