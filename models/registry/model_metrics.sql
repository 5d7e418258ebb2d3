-- Filled by the trainer; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as model_id,
    cast(null as string) as split,
    cast(null as string) as population,
    cast(null as string) as predictor,
    cast(null as string) as metric,
    cast(null as {{ dbt.type_float() }}) as value,
    cast(null as int64) as n,
    cast(null as {{ dbt.type_float() }}) as low,
    cast(null as {{ dbt.type_float() }}) as high,
    cast(null as date) as first_date,
    cast(null as date) as last_date
from (select 1 as nothing) as empty_source
where 1 = 0
