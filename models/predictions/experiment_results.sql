-- Is the challenger better than the champion, and how long must we wait to know?
{%- set float = dbt.type_float() %}
{%- set share = "cast(" ~ var('challenger_share') ~ " as " ~ float ~ ")" %}
{%- set difference = 'staging_error - production_error' %}
with

-- the game days of each comparison numbered from 1
graded as (
    select
        *,
        dense_rank() over (
            partition by production_model_id, staging_model_id, mode, kind
            order by game_date
        ) as game_day_number
    from {{ ref('experiment_predictions') }}
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
        sum({{ exact('staging_points - actual_points') }}) as staging_bias
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
            when kind = 'split' and players * {{ share }} >= 5
                then
                    (staging_players - players * {{ share }})
                    / sqrt(players * {{ share }} * (1 - {{ share }}))
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

        ---------- were the players assigned as they should be; 3.29 is p = 0.001
        case when kind = 'split' then {{ share }} end as expected_staging_share,
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
