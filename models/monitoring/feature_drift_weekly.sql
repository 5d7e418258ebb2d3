-- How far the features of each week are from those that the model was trained on, in
-- the same part of the season.
{%- set float = dbt.type_float() %}
with

-- who then played, as in the training rows
played as (
    select
        prediction_id,
        season_phase,
        {{ week_start('game_date') }} as week_start
    from {{ ref('prediction_accuracy') }}
    where not is_voided
),

served as (
    select
        features.model_id,
        features.variant,
        features.mode,
        played.week_start,
        played.season_phase,
        features.player_lookup,
        features.feature_name,
        features.served_value
    from {{ ref('served_features') }} as features
    inner join played
        on features.prediction_id = played.prediction_id
),

measured as (
    select
        model_id,
        variant,
        mode,
        week_start,
        season_phase,
        feature_name,
        count(*) as n,
        count(served_value) as value_count,
        {{ exact_mean('served_value') }} as mean,
        {{ exact_deviation('served_value') }} as stddev
    from served
    group by
        model_id,
        variant,
        mode,
        week_start,
        season_phase,
        feature_name
),

binned as (
    select
        served.model_id,
        served.variant,
        served.mode,
        served.week_start,
        served.season_phase,
        served.feature_name,
        bins.bin_number,
        count(*) as value_count
    from served
    inner join {{ ref('feature_baseline_bins') }} as bins
        on
            served.model_id = bins.model_id
            and served.feature_name = bins.feature_name
            and served.season_phase = bins.season_phase
    where
        (bins.lower_edge is null or served.served_value > bins.lower_edge)
        and (bins.upper_edge is null or served.served_value <= bins.upper_edge)
        and served.served_value is not null
    group by
        served.model_id,
        served.variant,
        served.mode,
        served.week_start,
        served.season_phase,
        served.feature_name,
        bins.bin_number
),

-- a bin that no value fell into counts as well
shares as (
    select
        measured.model_id,
        measured.variant,
        measured.mode,
        measured.week_start,
        measured.season_phase,
        measured.feature_name,
        bins.share as baseline_share,
        coalesce(binned.value_count, 0)
        / cast(nullif(measured.value_count, 0) as {{ float }}) as share
    from measured
    inner join {{ ref('feature_baseline_bins') }} as bins
        on
            measured.model_id = bins.model_id
            and measured.feature_name = bins.feature_name
            and measured.season_phase = bins.season_phase
    left join binned
        on
            measured.model_id = binned.model_id
            and measured.variant = binned.variant
            and measured.mode = binned.mode
            and measured.week_start = binned.week_start
            and measured.season_phase = binned.season_phase
            and measured.feature_name = binned.feature_name
            and bins.bin_number = binned.bin_number
),

divergences as (
    select
        model_id,
        variant,
        mode,
        week_start,
        season_phase,
        feature_name,
        {{ population_stability_index('share', 'baseline_share') }} as psi,
        {{ kl_divergence('share', 'baseline_share') }} as kl_divergence
    from shares
    group by
        model_id,
        variant,
        mode,
        week_start,
        season_phase,
        feature_name
),

player_weeks as (
    select
        model_id,
        variant,
        mode,
        feature_name,
        player_lookup,
        week_start,
        {{ exact_mean('served_value') }} as mean
    from served
    where served_value is not null
    group by
        model_id,
        variant,
        mode,
        feature_name,
        player_lookup,
        week_start
),

with_week_before as (
    select
        *,
        lag(mean) over (
            partition by model_id, variant, mode, feature_name, player_lookup
            order by week_start
        ) as mean_before,
        lag(week_start) over (
            partition by model_id, variant, mode, feature_name, player_lookup
            order by week_start
        ) as week_before
    from player_weeks
),

-- the same players one or two weeks ago: who plays changes a mean, too
recent as (
    select
        model_id,
        variant,
        mode,
        feature_name,
        week_start,
        {{ exact_mean('mean') }} as same_players_mean,
        {{ exact_mean('mean_before') }} as same_players_mean_before
    from with_week_before
    where {{ dbt.datediff('week_before', 'week_start', 'day') }} <= 14
    group by
        model_id,
        variant,
        mode,
        feature_name,
        week_start
),

compared as (
    select
        measured.*,
        measured.value_count / cast(measured.n as {{ float }}) as coverage,
        baselines.n as baseline_n,
        baselines.mean as baseline_mean,
        baselines.stddev as baseline_stddev,
        1 - baselines.null_rate as baseline_coverage,
        divergences.psi,
        divergences.kl_divergence,
        recent.same_players_mean,
        recent.same_players_mean_before
    from measured
    left join {{ ref('feature_baselines') }} as baselines
        on
            measured.model_id = baselines.model_id
            and measured.feature_name = baselines.feature_name
            and measured.season_phase = baselines.season_phase
    left join divergences
        on
            measured.model_id = divergences.model_id
            and measured.variant = divergences.variant
            and measured.mode = divergences.mode
            and measured.week_start = divergences.week_start
            and measured.season_phase = divergences.season_phase
            and measured.feature_name = divergences.feature_name
    left join recent
        on
            measured.model_id = recent.model_id
            and measured.variant = recent.variant
            and measured.mode = recent.mode
            and measured.week_start = recent.week_start
            and measured.feature_name = recent.feature_name
),

final as (
    select
        ---------- what is compared
        model_id,
        variant,
        mode,
        week_start,
        season_phase,
        feature_name,

        ---------- the week
        n,
        value_count,
        mean,
        stddev,
        coverage,

        ---------- the training rows
        baseline_n,
        baseline_mean,
        baseline_stddev,
        baseline_coverage,

        ---------- how far apart
        (mean - baseline_mean) / nullif(baseline_stddev, 0) as mean_shift,
        case
            when abs(baseline_mean) >= 0.1 * baseline_stddev
                then (mean - baseline_mean) / nullif(abs(baseline_mean), 0)
        end as mean_change,
        case
            when abs(same_players_mean_before) >= 0.1 * baseline_stddev
                then
                    (same_players_mean - same_players_mean_before)
                    / nullif(abs(same_players_mean_before), 0)
        end as jump,
        stddev / nullif(baseline_stddev, 0) - 1 as stddev_ratio,
        100 * (baseline_coverage - coverage) as coverage_drop,
        psi,
        kl_divergence
    from compared
)

select * from final
