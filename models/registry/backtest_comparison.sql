-- Is one configuration better than another? Paired, on the rows that both predicted in
-- the same backtest.
{%- set float = dbt.type_float() %}
{%- set difference = 'error - other_error' %}
with

errors as (
    select
        *,
        abs(predicted_points - actual_points) as absolute_error
    from {{ ref('backtest_outcomes') }}
),

-- exact sums by player: the rows of one player are not independent of each other
players as (
    select
        one.backtest_id,
        one.configuration,
        other.configuration as other_configuration,
        one.fold,
        one.player_lookup,
        count(*) as row_count,
        sum({{ exact('one.absolute_error') }}) as error,
        sum({{ exact('other.absolute_error') }}) as other_error
    from errors as one
    inner join errors as other
        on
            one.backtest_id = other.backtest_id
            and one.fold = other.fold
            and one.game_id = other.game_id
            and one.player_lookup = other.player_lookup
            and one.configuration != other.configuration
    group by
        one.backtest_id,
        one.configuration,
        other.configuration,
        one.fold,
        one.player_lookup
),

totals as (
    select
        backtest_id,
        configuration,
        other_configuration,
        fold,
        cast(sum(row_count) as int64) as n,
        count(*) as players,
        cast(sum({{ exact(difference) }}) as {{ float }}) / sum(row_count)
            as mae_difference,
        1.96 * {{ cluster_robust_error(difference, 'row_count') }} as half_width
    from players
    group by
        backtest_id,
        configuration,
        other_configuration,
        fold
),

final as (
    select
        backtest_id,
        configuration,
        other_configuration,
        fold,
        n,
        players,
        mae_difference,
        mae_difference - half_width as low,
        mae_difference + half_width as high
    from totals
)

select * from final
