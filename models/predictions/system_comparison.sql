-- Is our model better than the system that the user has? Both, and the baselines,
-- on identical rows.
{%- set float = dbt.type_float() %}
{%- set difference = 'model_error - system_error' %}
with

compared as (
    select * from {{ ref('compared_predictions') }}
),

populations as (
    select
        compared.*,
        'all' as population
    from compared

    union all

    select
        compared.*,
        concat('tier_', tier) as population
    from compared

    union all

    select
        compared.*,
        case when is_graded_in_bulk then 'graded_in_bulk' else 'graded_day_by_day' end
            as population
    from compared
    where is_graded_in_bulk is not null
),

-- exact sums by player: the rows of one player are not independent of each other
players as (
    select
        system_id,
        model_id,
        evidence,
        population,
        player_lookup,
        count(*) as row_count,
        min(game_date) as first_date,
        max(game_date) as last_date,
        sum({{ exact('abs(system_points - actual_points)') }}) as system_error,
        sum({{ exact('system_points - actual_points') }}) as system_bias,
        sum({{ exact('abs(model_points - actual_points)') }}) as model_error,
        sum({{ exact('model_points - actual_points') }}) as model_bias,
        sum({{ exact('abs(rule - actual_points)') }}) as rule_error,
        sum({{ exact('abs(last_5 - actual_points)') }}) as last_5_error,
        sum({{ exact('abs(last_10 - actual_points)') }}) as last_10_error,
        sum({{ exact('abs(season_average - actual_points)') }}) as season_error,
        count(case when graded_points <> actual_points then 1 end)
            as outcome_disagreements
    from populations
    group by
        system_id,
        model_id,
        evidence,
        population,
        player_lookup
),

-- half_width of the 95 % interval of mae_difference
totals as (
    select
        system_id,
        model_id,
        evidence,
        population,
        cast(sum(row_count) as int64) as n,
        count(*) as players,
        min(first_date) as first_date,
        max(last_date) as last_date,
        cast(sum(system_error) as {{ float }}) / sum(row_count) as system_mae,
        cast(sum(system_bias) as {{ float }}) / sum(row_count) as system_bias,
        cast(sum(model_error) as {{ float }}) / sum(row_count) as model_mae,
        cast(sum(model_bias) as {{ float }}) / sum(row_count) as model_bias,
        cast(sum({{ exact(difference) }}) as {{ float }}) / sum(row_count)
            as mae_difference,
        cast(sum(rule_error) as {{ float }}) / sum(row_count) as rule_mae,
        cast(sum(last_5_error) as {{ float }}) / sum(row_count) as last_5_mae,
        cast(sum(last_10_error) as {{ float }}) / sum(row_count) as last_10_mae,
        cast(sum(season_error) as {{ float }}) / sum(row_count)
            as season_average_mae,
        cast(sum(outcome_disagreements) as int64) as outcome_disagreements,
        1.96 * {{ cluster_robust_error(difference, 'row_count') }} as half_width
    from players
    group by
        system_id,
        model_id,
        evidence,
        population
),

final as (
    select
        ---------- what is compared
        system_id,
        model_id,
        evidence,
        population,

        ---------- on which rows
        n,
        players,
        first_date,
        last_date,

        ---------- how they did
        system_mae,
        model_mae,
        mae_difference,
        mae_difference - half_width as mae_difference_low,
        mae_difference + half_width as mae_difference_high,
        system_bias,
        model_bias,

        ---------- what it takes to beat
        rule_mae,
        last_5_mae,
        last_10_mae,
        season_average_mae,

        ---------- can the grades be trusted
        outcome_disagreements
    from totals
)

select * from final
