-- Is the challenger better than the champion, and how long must we wait to know?
{%- set float = dbt.type_float() %}
{%- set difference = 'staging_error - production_error' %}
with

-- the share of the periods that were split; not known when it changed on the way
splits as (
    select
        production_model_id,
        staging_model_id,
        case
            when
                max(traffic_split) = 0
                or min(nullif(traffic_split, 0)) = max(traffic_split)
                then max(traffic_split)
        end as traffic_split
    from {{ ref('experiment_periods') }}
    group by
        production_model_id,
        staging_model_id
),

-- where all of them say something: identical rows for all four
baselines as (
    select * from {{ ref('baseline_predictions') }}
    where
        rule is not null
        and last_5 is not null
        and last_10 is not null
        and season_average is not null
),

-- the game days of each comparison numbered from 1
graded as (
    select
        predictions.*,
        baselines.rule,
        baselines.last_5,
        baselines.last_10,
        baselines.season_average,
        splits.traffic_split,
        dense_rank() over (
            partition by
                predictions.production_model_id,
                predictions.staging_model_id,
                predictions.mode,
                predictions.kind
            order by predictions.game_date
        ) as game_day_number
    from {{ ref('experiment_predictions') }} as predictions
    left join splits
        on
            predictions.production_model_id = splits.production_model_id
            and predictions.staging_model_id = splits.staging_model_id
    left join baselines
        on
            predictions.game_id = baselines.game_id
            and predictions.player_lookup = baselines.player_lookup
),

-- exact sums by player: the rows of one player are not independent of each other
players as (
    select
        production_model_id,
        staging_model_id,
        mode,
        kind,
        player_lookup,
        min(game_date) as first_date,
        max(game_date) as last_date,
        max(game_day_number) as game_days,
        count(production_points) as production_rows,
        count(staging_points) as staging_rows,
        sum({{ exact('abs(production_points - actual_points)') }})
            as production_error,
        sum({{ exact('production_points - actual_points') }}) as production_bias,
        sum({{ exact('abs(staging_points - actual_points)') }}) as staging_error,
        sum({{ exact('staging_points - actual_points') }}) as staging_bias,
        count(rule) as baseline_rows,
        sum({{ exact('abs(rule - actual_points)') }}) as rule_error,
        sum({{ exact('abs(last_5 - actual_points)') }}) as last_5_error,
        sum({{ exact('abs(last_10 - actual_points)') }}) as last_10_error,
        sum({{ exact('abs(season_average - actual_points)') }}) as season_average_error,
        max(traffic_split) as traffic_split
    from graded
    group by
        production_model_id,
        staging_model_id,
        mode,
        kind,
        player_lookup
),

totals as (
    select
        production_model_id,
        staging_model_id,
        mode,
        kind,
        min(first_date) as first_date,
        max(last_date) as last_date,
        max(game_days) as game_days,
        count(*) as players,
        cast(sum(production_rows) as int64) as production_n,
        cast(sum(staging_rows) as int64) as staging_n,
        count(production_error) as production_players,
        count(staging_error) as staging_players,
        cast(sum(production_error) as {{ float }})
        / nullif(sum(production_rows), 0) as production_mae,
        cast(sum(staging_error) as {{ float }})
        / nullif(sum(staging_rows), 0) as staging_mae,
        cast(sum(production_bias) as {{ float }})
        / nullif(sum(production_rows), 0) as production_bias,
        cast(sum(staging_bias) as {{ float }})
        / nullif(sum(staging_rows), 0) as staging_bias,
        cast(sum({{ exact(difference) }}) as {{ float }})
        / nullif(sum(staging_rows), 0) as paired_difference,
        cast(sum(baseline_rows) as int64) as baseline_n,
        cast(sum(rule_error) as {{ float }})
        / nullif(sum(baseline_rows), 0) as rule_mae,
        cast(sum(last_5_error) as {{ float }})
        / nullif(sum(baseline_rows), 0) as last_5_mae,
        cast(sum(last_10_error) as {{ float }})
        / nullif(sum(baseline_rows), 0) as last_10_mae,
        cast(sum(season_average_error) as {{ float }})
        / nullif(sum(baseline_rows), 0) as season_average_mae,
        max(traffic_split) as traffic_split,
        {{ cluster_robust_error(difference, 'staging_rows') }} as paired_error,
        {{ cluster_robust_error('production_error', 'production_rows') }}
            as production_mae_error,
        {{ cluster_robust_error('staging_error', 'staging_rows') }} as staging_mae_error
    from players
    group by
        production_model_id,
        staging_model_id,
        mode,
        kind
),

-- Pairs: their difference. Players of their own: that of two independent means, and
-- whether they are as many as the bucket gives, by the normal approximation, which is
-- fair where 5 or more are expected.
measured as (
    select
        *,
        case kind
            when 'shadow' then paired_difference
            else staging_mae - production_mae
        end as mae_difference,
        case kind
            when 'shadow' then paired_error
            else sqrt(
                production_mae_error * production_mae_error
                + staging_mae_error * staging_mae_error
            )
        end as standard_error,
        case
            when
                kind = 'split'
                and traffic_split < 1
                and players * traffic_split >= 5
                then
                    (staging_players - players * traffic_split)
                    / sqrt(players * traffic_split * (1 - traffic_split))
        end as sample_ratio_z
    from totals
),

final as (
    select
        ---------- what is compared
        production_model_id,
        staging_model_id,
        mode,
        kind,

        ---------- on which rows
        first_date,
        last_date,
        game_days,
        players,
        production_n,
        production_players,
        staging_n,
        staging_players,

        ---------- how they did
        production_mae,
        staging_mae,
        mae_difference,
        mae_difference - 1.96 * standard_error as mae_difference_low,
        mae_difference + 1.96 * standard_error as mae_difference_high,
        production_bias,
        staging_bias,

        ---------- how the baselines did on the same rows
        baseline_n,
        rule_mae,
        last_5_mae,
        last_10_mae,
        season_average_mae,

        ---------- were the players assigned as they should be; 3.29 is p = 0.001
        case when kind = 'split' then traffic_split end as expected_staging_share,
        case
            when kind = 'split'
                then cast(staging_players as {{ float }}) / players
        end as staging_share,
        sample_ratio_z,
        abs(sample_ratio_z) > 3.29 as has_sample_ratio_mismatch,

        ---------- how long to wait: 1.96 for 95 %, two-sided, 0.84 for a power of 80 %
        case
            when standard_error is not null
                then cast(
                    greatest(
                        ceil(
                            game_days
                            * power((1.96 + 0.84) * standard_error / 0.05, 2)
                            - game_days
                        ),
                        0
                    ) as int64
                )
        end as more_game_days_needed
    from measured
)

select * from final
