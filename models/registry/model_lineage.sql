-- From a prediction back to the code and the rows that made it.
with

predictions as (
    select * from {{ ref('prediction_log') }}
),

trained as (
    select * from {{ ref('model_events') }}
    where event_type = 'trained'
),

final as (
    select
        predictions.prediction_id,
        predictions.model_id,
        predictions.artifact_sha256,
        predictions.features_hash,
        predictions.dbt_invocation_id as prediction_dbt_invocation_id,
        predictions.artifact_sha256
        = trained.artifact_sha256 as is_registered_artifact,
        trained.training_frame_sha256,
        trained.feature_version,
        trained.dbt_invocation_id,
        trained.git_commit
    from predictions
    left join trained
        on predictions.model_id = trained.model_id
)

select * from final
