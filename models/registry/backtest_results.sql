-- Filled by nba-ml backtest; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as backtest_id,
    cast(null as string) as configuration,
    cast(null as string) as fold,
    cast(null as date) as fold_start,
    cast(null as date) as fold_end,
    cast(null as date) as training_end,
    cast(null as int64) as training_rows,
    cast(null as string) as game_id,
    cast(null as string) as player_lookup,
    cast(null as date) as game_date,
    cast(null as {{ dbt.type_float() }}) as predicted_points,
    cast(null as {{ dbt.type_float() }}) as predicted_low,
    cast(null as {{ dbt.type_float() }}) as predicted_high,
    cast(null as {{ dbt.type_timestamp() }}) as created_at
from (select 1 as nothing) as empty_source
where 1 = 0
