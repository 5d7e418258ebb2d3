-- Any two models on the rows that both predicted without having learnt from them: test
-- rows, which are later than a model's training and validation rows, and forecasts,
-- which are later still.
{%- set float = dbt.type_float() %}
{%- set difference = 'error - other_error' %}
with

forecasts as (
    select
        model_id,
        game_id,
        player_lookup,
        game_date,
        absolute_error,
        -- the live one before the replayed; of several variants any, they say the same
        row_number() over (
            partition by model_id, game_id, player_lookup
            order by mode asc, variant asc, prediction_id asc
        ) as precedence
    from {{ ref('prediction_accuracy') }}
    where not is_voided
),

predictions as (
    select
        model_id,
        game_id,
        player_lookup,
        game_date,
        abs(predicted_points - actual_points) as absolute_error
    from {{ ref('test_predictions') }}

    union all

    select
        model_id,
        game_id,
        player_lookup,
        game_date,
        absolute_error
    from forecasts
    where precedence = 1
),

-- cut by version 1 of the features, whatever the models learnt from
tiers as (
    select
        game_id,
        player_lookup,
        tier
    from {{ ref('training_set', v=1) }}
),

pairs as (
    select
        one.model_id,
        other.model_id as other_model_id,
        one.player_lookup,
        one.game_date,
        tiers.tier,
        one.absolute_error,
        other.absolute_error as other_absolute_error
    from predictions as one
    inner join predictions as other
        on
            one.game_id = other.game_id
            and one.player_lookup = other.player_lookup
            and one.model_id != other.model_id
    left join tiers
        on
            one.game_id = tiers.game_id
            and one.player_lookup = tiers.player_lookup
),

populations as (
    select
        pairs.*,
        'all' as population
    from pairs

    union all

    select
        pairs.*,
        concat('tier_', tier) as population
    from pairs
    where tier is not null
),

-- exact sums by player: the rows of one player are not independent of each other
players as (
    select
        model_id,
        other_model_id,
        population,
        player_lookup,
        count(*) as row_count,
        min(game_date) as first_date,
        max(game_date) as last_date,
        sum({{ exact('absolute_error') }}) as error,
        sum({{ exact('other_absolute_error') }}) as other_error
    from populations
    group by
        model_id,
        other_model_id,
        population,
        player_lookup
),

totals as (
    select
        model_id,
        other_model_id,
        population,
        cast(sum(row_count) as int64) as n,
        count(*) as players,
        cast(sum(error) as {{ float }}) / sum(row_count) as mae,
        cast(sum(other_error) as {{ float }}) / sum(row_count) as other_mae,
        cast(sum({{ exact(difference) }}) as {{ float }}) / sum(row_count)
            as mae_difference,
        1.96 * {{ cluster_robust_error(difference, 'row_count') }} as half_width,
        min(first_date) as first_date,
        max(last_date) as last_date
    from players
    group by
        model_id,
        other_model_id,
        population
),

final as (
    select
        model_id,
        other_model_id,
        population,
        n,
        players,
        mae,
        other_mae,
        mae_difference,
        mae_difference - half_width as mae_difference_low,
        mae_difference + half_width as mae_difference_high,
        first_date,
        last_date
    from totals
)

select * from final
