-- The state of every model, read from what happened to it.
with

trained as (
    select * from {{ ref('model_events') }}
    where event_type = 'trained'
),

current_status as (
    select
        model_id,
        status
    from {{ ref('model_transitions') }}
    where recency = 1
),

deployments as (
    select
        model_id,
        max(event_at) as deployed_at
    from {{ ref('model_transitions') }}
    where status = 'production'
    group by model_id
),

-- a file moves when its model is staged, promoted or retired
locations as (
    select
        model_id,
        gcs_path,
        row_number() over (
            partition by model_id
            order by event_at desc, event_sequence desc, event_id desc
        ) as recency
    from {{ ref('model_events') }}
    where gcs_path is not null
),

-- what its last change asked of the workers
placements as (
    select
        model_id,
        trim({{ json_item('details', 'load_strategy') }}, '"') as load_strategy,
        trim({{ json_item('details', 'mode') }}, '"') as mode,
        {{ dbt.safe_cast(json_item('details', 'traffic_split'), dbt.type_float()) }}
            as traffic_split,
        row_number() over (
            partition by model_id
            order by event_at desc, event_sequence desc, event_id desc
        ) as recency
    from {{ ref('model_events') }}
    where event_type in ('staged', 'promoted', 'rolled_back')
),

challengers as (
    select distinct model_id from {{ ref('model_events') }}
    where
        event_type = 'deploy_step'
        and {{ json_item('details', 'step') }} = '"challenge"'
),

-- a model that another replaced was good, one that was taken back is not
outcomes as (
    select
        event_id,
        event_type,
        event_at,
        event_sequence,
        model_id,
        row_number() over (
            partition by model_id
            order by event_at desc, event_sequence desc, event_id desc
        ) as recency
    from {{ ref('model_events') }}
    where
        event_type in ('promoted', 'rolled_back')
        or (
            event_type = 'retired'
            and {{ json_item('details', 'replaced_by') }} is null
        )
),

good as (
    select
        model_id,
        row_number() over (
            order by event_at desc, event_sequence desc, event_id desc
        ) as rollback_order
    from outcomes
    where
        recency = 1
        and event_type != 'retired'
),

-- everybody who played, test rows: the figures that a model is known by
scores as (
    select
        model_id,
        max(
            case when predictor = 'model' and metric = 'mae' then value end
        ) as test_mae,
        max(
            case when predictor = 'model' and metric = 'share_within_5' then value end
        ) as test_accuracy,
        min(
            case when predictor != 'model' and metric = 'mae' then value end
        ) as baseline_mae
    from {{ ref('model_metrics') }}
    where
        split = 'test'
        and population = 'all'
    group by model_id
),

final as (
    select
        ---------- the registry of the specification
        trained.model_id,
        trained.model_version,
        trained.event_at as trained_at,
        scores.test_mae,
        scores.test_accuracy,
        trained.num_features,
        trained.feature_list,
        locations.gcs_path,
        current_status.status,
        deployments.deployed_at,
        trained.created_by,

        ---------- how workers serve it, and whether a rollback may bring it back
        coalesce(placements.load_strategy, 'eager') as load_strategy,
        coalesce(placements.mode, 'shadow') as mode,
        coalesce(placements.traffic_split, 0) as traffic_split,
        challengers.model_id is not null as is_challenger,
        good.rollback_order,

        ---------- how good beside the best baseline on the same rows
        trained.feature_version,
        scores.baseline_mae,
        1 - scores.test_mae / scores.baseline_mae as skill,

        ---------- where it comes from: the next version is counted from these
        trained.algorithm,
        trained.features_hash,
        trained.config,
        trained.training_frame_sha256,
        trained.artifact_sha256,
        trained.parent_model_id,
        trained.training_start,
        trained.training_end,
        trained.training_rows,
        trained.library_versions,
        trained.git_commit
    from trained
    inner join current_status
        on trained.model_id = current_status.model_id
    left join deployments
        on trained.model_id = deployments.model_id
    left join locations
        on
            trained.model_id = locations.model_id
            and locations.recency = 1
    left join placements
        on
            trained.model_id = placements.model_id
            and placements.recency = 1
    left join challengers
        on trained.model_id = challengers.model_id
    left join good
        on trained.model_id = good.model_id
    left join scores
        on trained.model_id = scores.model_id
)

select * from final
