-- Filled by nba-ml alerts; dbt owns the columns only.
select
    cast(null as string) as event_id,
    cast(null as string) as alert_id,
    cast(null as string) as change,
    cast(null as string) as severity,
    cast(null as string) as text,
    cast(null as {{ dbt.type_timestamp() }}) as posted_at
from (select 1 as nothing) as empty_source
where 1 = 0
