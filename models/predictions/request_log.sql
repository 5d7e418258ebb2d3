-- Filled by the worker; dbt owns the columns only.
select
    cast(null as string) as request_id,
    cast(null as string) as route,
    cast(null as int64) as status,
    cast(null as int64) as row_count,
    cast(null as {{ dbt.type_float() }}) as latency_ms,
    cast(null as {{ dbt.type_timestamp() }}) as requested_at,
    cast(null as string) as model_id
from (select 1 as nothing) as empty_source
where 1 = 0
