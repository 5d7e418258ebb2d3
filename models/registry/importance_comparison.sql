-- What each model leans on, beside the model before it; a feature that only one of
-- the two has is there, too.
with

models as (
    select * from {{ ref('model_registry') }}
),

importance as (
    select * from {{ ref('feature_importance') }}
),

catalog as (
    select * from {{ ref('feature_catalog') }}
),

-- features of the model or of its parent
features as (
    select
        models.model_id,
        importance.feature_name
    from models
    inner join importance
        on models.model_id = importance.model_id

    union distinct

    select
        models.model_id,
        importance.feature_name
    from models
    inner join importance
        on models.parent_model_id = importance.model_id
),

final as (
    select
        features.model_id,
        models.parent_model_id,
        features.feature_name,
        catalog.feature_group,
        catalog.description,
        own.gain_share,
        own.importance_rank,
        parent.gain_share as parent_gain_share,
        parent.importance_rank as parent_importance_rank,
        own.gain_share - parent.gain_share as gain_share_difference,
        sum(own.gain_share) over (
            partition by features.model_id, catalog.feature_group
        ) as group_gain_share
    from features
    inner join models
        on features.model_id = models.model_id
    left join importance as own
        on
            features.model_id = own.model_id
            and features.feature_name = own.feature_name
    left join importance as parent
        on
            models.parent_model_id = parent.model_id
            and features.feature_name = parent.feature_name
    left join catalog
        on
            features.feature_name = catalog.feature_name
            and models.feature_version = catalog.feature_version
)

select * from final
