-- Filled by nba-ml retrain; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as {{ dbt.type_timestamp() }}) as started_at,
    cast(null as {{ dbt.type_timestamp() }}) as finished_at,
    cast(null as int64) as event_sequence,
    cast(null as string) as trigger,
    cast(null as string) as outcome,
    cast(null as string) as model_id,
    cast(null as string) as explanation
from (select 1 as nothing) as empty_source
where 1 = 0
