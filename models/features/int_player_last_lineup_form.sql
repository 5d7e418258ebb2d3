-- Form in games with a line-up like that of the team's last game.
with

{{ lineup_sums(ref('int_last_lineup_distances')) }},

final as (
    select
        player_lookup,
        game_id,
        cast(likeness_sum as {{ dbt.type_float() }}) as last_lineup_likeness,
        cast(points as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as points_avg_last_lineup,
        cast(fg_attempts as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as fg_attempts_avg_last_lineup,
        cast(minutes_played as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as minutes_avg_last_lineup
    from sums
)

select * from final
