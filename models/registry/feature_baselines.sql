-- Filled by the trainer; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as model_id,
    cast(null as string) as feature_name,
    cast(null as string) as season_phase,
    cast(null as int64) as n,
    cast(null as {{ dbt.type_float() }}) as mean,
    cast(null as {{ dbt.type_float() }}) as stddev,
    cast(null as {{ dbt.type_float() }}) as null_rate,
    {{ dbt.array_construct([], dbt.type_float()) }} as bin_edges,
    {{ dbt.array_construct([], dbt.type_float()) }} as shares
from (select 1 as nothing) as empty_source
where 1 = 0
