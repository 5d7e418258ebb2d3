-- Filled by the trainer; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as model_id,
    cast(null as string) as feature_name,
    cast(null as {{ dbt.type_float() }}) as gain_share,
    cast(null as int64) as importance_rank
from (select 1 as nothing) as empty_source
where 1 = 0
