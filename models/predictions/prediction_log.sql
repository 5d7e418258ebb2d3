-- Filled by nba-ml predict and the worker; dbt owns the columns only.
select
    ---------- ids
    cast(null as string) as prediction_id,
    cast(null as string) as model_id,
    cast(null as string) as artifact_sha256,
    cast(null as string) as variant,
    cast(null as string) as mode,
    cast(null as string) as request_id,

    ---------- what was predicted
    cast(null as string) as player_lookup,
    cast(null as string) as game_id,
    cast(null as date) as game_date,
    cast(null as {{ dbt.type_float() }}) as predicted_points,
    cast(null as {{ dbt.type_float() }}) as predicted_low,
    cast(null as {{ dbt.type_float() }}) as predicted_high,
    cast(null as {{ dbt.type_float() }}) as confidence,

    ---------- from what
    cast(null as {{ dbt.type_float() }}) as feature_quality_score,
    cast(null as string) as features,
    cast(null as string) as feature_version,
    cast(null as string) as features_hash,
    cast(null as bool) as has_availability_report,
    cast(null as string) as dbt_invocation_id,

    ---------- when, and how fast
    cast(null as {{ dbt.type_float() }}) as inference_time_ms,
    cast(null as {{ dbt.type_timestamp() }}) as predicted_at
from (select 1 as nothing) as empty_source
where 1 = 0
