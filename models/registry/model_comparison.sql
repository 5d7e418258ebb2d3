-- Any two models on the test rows that both were scored on.
with

predictions as (
    select
        model_id,
        game_id,
        player_lookup,
        game_date,
        abs(predicted_points - actual_points) as absolute_error
    from {{ ref('test_predictions') }}
),

tiers as (
    select
        game_id,
        player_lookup,
        tier
    from {{ ref('training_set') }}
),

pairs as (
    select
        one.model_id,
        other.model_id as other_model_id,
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

final as (
    select
        model_id,
        other_model_id,
        population,
        count(*) as n,
        avg(absolute_error) as mae,
        avg(other_absolute_error) as other_mae,
        avg(absolute_error - other_absolute_error) as mae_difference,
        min(game_date) as first_date,
        max(game_date) as last_date
    from populations
    group by
        model_id,
        other_model_id,
        population
)

select * from final
