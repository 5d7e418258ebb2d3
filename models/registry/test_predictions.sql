-- Filled by the trainer; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as model_id,
    cast(null as string) as game_id,
    cast(null as string) as player_lookup,
    cast(null as date) as game_date,
    cast(null as {{ dbt.type_float() }}) as predicted_points,
    cast(null as int64) as actual_points,
    cast(null as {{ dbt.type_float() }}) as predicted_low,
    cast(null as {{ dbt.type_float() }}) as predicted_high,
    cast(null as {{ dbt.type_float() }}) as confidence
from (select 1 as nothing) as empty_source
where 1 = 0
