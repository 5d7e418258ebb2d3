-- Whether a model errs more, or to another side, than on its test rows, by what was
-- known of the game before it.
with

-- the cohorts are cut by version 1 of the features, whatever a model learnt from
tested as (
    select
        predictions.model_id,
        features.is_home,
        features.back_to_back,
        features.opponent_def_rating,
        features.tier,
        predictions.predicted_points - predictions.actual_points as signed_error
    from {{ ref('test_predictions') }} as predictions
    inner join {{ ref('training_set', v=1) }} as features
        on
            predictions.game_id = features.game_id
            and predictions.player_lookup = features.player_lookup
),

rated as (
    select
        model_id,
        opponent_def_rating,
        row_number() over (
            partition by model_id order by opponent_def_rating
        ) as rating_rank,
        count(*) over (partition by model_id) as rating_count
    from tested
    where opponent_def_rating is not null
),

-- a strong defence allows few points per hundred possessions
thirds as (
    select
        model_id,
        min(case when 3 * rating_rank >= rating_count then opponent_def_rating end)
            as strong_up_to,
        min(case when 3 * rating_rank >= 2 * rating_count then opponent_def_rating end)
            as middle_up_to
    from rated
    group by model_id
),

-- the test rows are of no variant, mode and week; the baselines' errors are not needed
graded as (
    select
        model_id,
        variant,
        mode,
        {{ week_start('game_date') }} as week_start,
        is_home,
        back_to_back,
        opponent_def_rating,
        tier,
        signed_error,
        abs(rule - actual_points) as rule_error,
        abs(last_5 - actual_points) as last_5_error,
        abs(last_10 - actual_points) as last_10_error,
        abs(season_average - actual_points) as season_average_error
    from {{ ref('prediction_accuracy') }}
    where
        not is_voided
        and rule is not null
        and last_5 is not null
        and last_10 is not null
        and season_average is not null

    union all

    select
        model_id,
        null as variant,
        null as mode,
        null as week_start,
        is_home,
        back_to_back,
        opponent_def_rating,
        tier,
        signed_error,
        null as rule_error,
        null as last_5_error,
        null as last_10_error,
        null as season_average_error
    from tested
),

kinds as (
    select 'venue' as cohort_kind
    union all
    select 'rest' as cohort_kind
    union all
    select 'opponent' as cohort_kind
    union all
    select 'tier' as cohort_kind
),

-- a row without what makes a cohort is in none
cohorts as (
    select
        graded.*,
        kinds.cohort_kind,
        case kinds.cohort_kind
            when 'venue'
                then case graded.is_home when 1 then 'home' when 0 then 'away' end
            when 'rest'
                then
                    case graded.back_to_back
                        when 1 then 'back_to_back' when 0 then 'rested'
                    end
            when 'opponent'
                then
                    case
                        when graded.opponent_def_rating <= thirds.strong_up_to
                            then 'strong'
                        when graded.opponent_def_rating <= thirds.middle_up_to
                            then 'middle'
                        when graded.opponent_def_rating > thirds.middle_up_to
                            then 'weak'
                    end
            when 'tier' then graded.tier
        end as cohort
    from graded
    cross join kinds
    left join thirds
        on graded.model_id = thirds.model_id
),

measured as (
    select
        model_id,
        variant,
        mode,
        week_start,
        cohort_kind,
        cohort,
        count(*) as n,
        {{ exact_mean('abs(signed_error)') }} as mae,
        {{ exact_mean('signed_error') }} as bias,
        least(
            {{ exact_mean('rule_error') }},
            {{ exact_mean('last_5_error') }},
            {{ exact_mean('last_10_error') }},
            {{ exact_mean('season_average_error') }}
        ) as best_baseline_mae
    from cohorts
    where cohort is not null
    group by
        model_id,
        variant,
        mode,
        week_start,
        cohort_kind,
        cohort
),

final as (
    select
        ---------- what is compared
        weeks.model_id,
        weeks.variant,
        weeks.mode,
        weeks.week_start,
        weeks.cohort_kind,
        weeks.cohort,

        ---------- the week
        weeks.n,
        weeks.mae,
        weeks.bias,
        weeks.best_baseline_mae,

        ---------- the test rows
        reference.n as reference_n,
        reference.mae as reference_mae,
        reference.bias as reference_bias,

        ---------- how far apart
        weeks.mae - reference.mae as mae_change,
        weeks.bias - reference.bias as bias_change
    from measured as weeks
    left join measured as reference
        on
            weeks.model_id = reference.model_id
            and weeks.cohort_kind = reference.cohort_kind
            and weeks.cohort = reference.cohort
            and reference.week_start is null
    where weeks.week_start is not null
)

select * from final
