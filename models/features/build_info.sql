-- Which run built the tables, and what time it was for them.
select
    {{ as_of() }} as as_of,
    {{ as_of_date() }} as as_of_date,
    {{ run_started() }} as built_at,
    '{{ invocation_id }}' as dbt_invocation_id,
    '{{ dbt_version }}' as dbt_version,
    '{{ target.name }}' as target_name
