-- Filled by nba-ml alerts; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as check_name,
    cast(null as {{ dbt.type_timestamp() }}) as checked_at,
    cast(null as int64) as failures,
    cast(null as string) as explanation
from (select 1 as nothing) as empty_source
where 1 = 0
