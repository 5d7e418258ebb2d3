-- Filled by the trainer and the deployer; dbt owns the columns only.
select
    ---------- what happened
    cast(null as string) as event_id,
    cast(null as string) as event_type,
    cast(null as {{ dbt.type_timestamp() }}) as event_at,
    cast(null as int64) as event_sequence,
    cast(null as string) as model_id,
    cast(null as string) as model_version,
    cast(null as string) as created_by,

    ---------- filled by trained
    cast(null as string) as feature_version,
    cast(null as string) as algorithm,
    cast(null as int64) as num_features,
    {{ dbt.array_construct([], 'string') }} as feature_list,
    cast(null as string) as features_hash,
    cast(null as string) as gcs_path,
    cast(null as string) as artifact_sha256,
    cast(null as string) as parent_model_id,
    cast(null as date) as training_start,
    cast(null as date) as training_end,
    cast(null as int64) as training_rows,
    cast(null as string) as training_frame_sha256,
    cast(null as string) as config,
    cast(null as string) as library_versions,
    cast(null as string) as git_commit,
    cast(null as string) as dbt_invocation_id,
    cast(null as {{ dbt.type_timestamp() }}) as as_of,

    ---------- anything else that the event has to say
    cast(null as string) as details
from (select 1 as nothing) as empty_source
where 1 = 0
