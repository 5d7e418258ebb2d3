{{ config(materialized='view') }}
-- The drift of each week beside its limit, and beside what the feature means to the
-- model.
with

rules as (
    select * from {{ ref('alert_rules') }}
    where rule = 'feature_psi'
),

limits as (
    select * from {{ ref('drift_limits') }}
    where rule = 'feature_psi'
),

-- a feature's own limit before the general one; NULL: it is not judged
limited as (
    select
        drift.*,
        importance.importance_rank,
        case
            when own.rule is not null then own.limit_value
            else general.limit_value
        end as psi_limit
    from {{ ref('feature_drift_weekly') }} as drift
    left join {{ ref('feature_importance') }} as importance
        on
            drift.model_id = importance.model_id
            and drift.feature_name = importance.feature_name
    left join limits as own
        on drift.feature_name = own.feature_name
    left join limits as general
        on general.feature_name is null
),

final as (
    select
        limited.model_id,
        limited.variant,
        limited.mode,
        limited.week_start,
        limited.season_phase,
        limited.feature_name,
        limited.importance_rank,
        limited.n,
        limited.psi,
        limited.psi_limit,
        case
            when limited.value_count >= rules.min_rows
                then limited.psi / limited.psi_limit
        end as share_of_limit,
        coalesce(
            limited.psi > limited.psi_limit
            and limited.value_count >= rules.min_rows,
            false
        ) as is_beyond,
        limited.kl_divergence,
        limited.mean_shift,
        limited.stddev_ratio,
        limited.coverage_drop
    from limited
    cross join rules
)

select * from final
