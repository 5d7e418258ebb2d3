-- Form in games with a line-up like tonight's.
with

{{ lineup_sums(ref('int_lineup_distances')) }},

final as (
    select
        player_lookup,
        game_id,
        games as similar_lineup_games,
        cast(likeness_sum as {{ dbt.type_float() }}) as lineup_likeness,
        cast(points as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as points_avg_similar_lineups,
        cast(fg_attempts as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as fg_attempts_avg_similar_lineups,
        cast(minutes_played as {{ dbt.type_float() }}) / nullif(likeness_sum, 0)
            as minutes_avg_similar_lineups,
        cast(usage_rate as {{ dbt.type_float() }}) / nullif(usage_likeness, 0)
            as usage_rate_similar_lineups
    from sums
)

select * from final
