-- Every figure that a rule looks at, each time it looks, and whether the rule's limit
-- is broken. No state: the same data give the same checks.
with

rules as (
    select * from {{ ref('alert_rules') }}
),

-- what the answering model did; a challenger has its experiment
performance as (
    select
        performance.*,
        case reference.predictor
            when 'rule' then performance.rule_mae
            when 'last_5' then performance.last_5_mae
            when 'last_10' then performance.last_10_mae
            when 'season_average' then performance.season_average_mae
            else performance.best_baseline_mae
        end as reference_mae
    from {{ ref('model_performance_daily') }} as performance
    left join {{ ref('model_metrics') }} as reference
        on
            performance.model_id = reference.model_id
            and reference.split = 'test'
            and reference.population = 'all'
            and reference.metric = 'mae_difference'
    where
        performance.variant = 'production'
        and performance.population = 'all'
),

-- of a day that is over: until then forecasts come, and are made anew
operations as (
    select * from {{ ref('prediction_operations_daily') }}
    where
        variant = 'production'
        and game_date < {{ as_of_date() }}
),

-- Of a week that is over: the limits are those of whole weeks. Of one in two parts of
-- the season the larger.
feature_drift as (
    select
        *,
        row_number() over (
            partition by model_id, mode, week_start, feature_name
            order by n desc, season_phase asc
        ) as precedence
    from {{ ref('feature_drift_weekly') }}
    where
        variant = 'production'
        and {{ dbt.datediff('week_start', as_of_date(), 'day') }} >= 7
),

prediction_drift as (
    select * from {{ ref('prediction_drift_daily') }}
    where
        variant = 'production'
        and game_date < {{ as_of_date() }}
),

concept_drift as (
    select
        *,
        concat(model_id, ' ', cohort_kind, ' ', cohort) as subject
    from {{ ref('concept_drift_weekly') }}
    where
        variant = 'production'
        and {{ dbt.datediff('week_start', as_of_date(), 'day') }} >= 7
),

data_quality as (
    select * from {{ ref('data_quality_daily') }}
),

-- game days on which a model was live at noon, when the slate is predicted
live_days as (
    select
        live.model_id,
        data_quality.game_date,
        data_quality.games_scheduled
    from data_quality
    inner join {{ ref('model_live_periods') }} as live
        on
            {{ noon('data_quality.game_date') }} >= live.live_from
            and (
                live.live_until is null
                or {{ noon('data_quality.game_date') }} < live.live_until
            )
),

trained as (
    select
        model_id,
        event_at
    from {{ ref('model_events') }}
    where event_type = 'trained'
),

-- what it was tested on is not what happened
corrected as (
    select
        tested.model_id,
        count(*) as n,
        {{ exact_mean(
            'case when tested.actual_points != outcomes.points then 1 else 0 end'
        ) }} as share
    from {{ ref('test_predictions') }} as tested
    inner join {{ ref('stg_player_game_summary') }} as outcomes
        on
            tested.game_id = outcomes.game_id
            and tested.player_lookup = outcomes.player_lookup
    group by tested.model_id
),

predicted_days as (
    select
        game_date,
        sum(predicted) as predicted
    from operations
    group by game_date
),

ages as (
    select
        live_days.model_id,
        live_days.game_date,
        max(case when trained.model_id = live_days.model_id then trained.event_at end)
            as trained_at,
        max(trained.event_at) as last_trained_at
    from live_days
    inner join trained
        on trained.event_at <= {{ noon('live_days.game_date') }}
    group by
        live_days.model_id,
        live_days.game_date
),

health as (
    select
        *,
        row_number() over (
            partition by check_name, cast(checked_at as date)
            order by checked_at desc, event_id asc
        ) as recency
    from {{ ref('health_checks') }}
),

figures as (
    {% for rule, value in [
        ('mae_above_limit', 'mae'),
        ('worse_than_baseline', 'mae - reference_mae'),
        ('bias', 'bias'),
        ('too_good', 'mae / nullif(best_baseline_mae, 0)'),
        ('interval_coverage', 'interval_coverage - 0.8'),
    ] -%}
    select
        '{{ rule }}' as rule,
        model_id as subject,
        model_id,
        mode,
        game_date as checked_on,
        {{ value }} as value,
        n
    from performance

    union all

    {% endfor -%}

    {% for rule, value, n in [
        ('prediction_count', 'answered_share', 'expected'),
        ('missing_features', 'missing_rate', 'predicted'),
        ('skewed_features', 'skewed_share', 'compared'),
        ('wrong_model', 'wrong_model', 'predicted'),
    ] -%}
    select
        '{{ rule }}' as rule,
        model_id as subject,
        model_id,
        mode,
        game_date as checked_on,
        {{ value }} as value,
        {{ n }} as n
    from operations

    union all

    {% endfor -%}

    select
        'no_predictions' as rule,
        'slate' as subject,
        live_days.model_id,
        cast(null as string) as mode,
        live_days.game_date as checked_on,
        coalesce(predicted_days.predicted, 0) as value,
        live_days.games_scheduled as n
    from live_days
    left join predicted_days
        on live_days.game_date = predicted_days.game_date

    union all

    {% for rule, value in [
        ('slow_requests', 'slow_share'),
        ('failed_requests', 'failed_share'),
    ] -%}
    select
        '{{ rule }}' as rule,
        coalesce(model_id, 'no model') as subject,
        model_id,
        cast(null as string) as mode,
        day as checked_on,
        {{ value }} as value,
        requests as n
    from {{ ref('request_performance_daily') }}

    union all

    {% endfor -%}

    {% for rule, value, n in [
        ('feature_mean_change', 'mean_change', 'value_count'),
        ('feature_jump', 'jump', 'value_count'),
        ('feature_spread_change', 'stddev_ratio', 'value_count'),
        ('feature_psi', 'psi', 'value_count'),
        ('feature_coverage', 'coverage_drop', 'n'),
    ] -%}
    select
        '{{ rule }}' as rule,
        concat(model_id, ' ', feature_name) as subject,
        model_id,
        mode,
        week_start as checked_on,
        {{ value }} as value,
        {{ n }} as n
    from feature_drift
    where precedence = 1

    union all

    {% endfor -%}

    {% for rule, value in [
        ('prediction_psi', 'psi'),
        ('clamped_predictions', 'clamped_share'),
    ] -%}
    select
        '{{ rule }}' as rule,
        model_id as subject,
        model_id,
        mode,
        game_date as checked_on,
        {{ value }} as value,
        n
    from prediction_drift

    union all

    {% endfor -%}

    {% for rule, value in [
        ('cohort_bias', 'bias_change'),
        ('cohort_mae', 'mae_change'),
    ] -%}
    select
        '{{ rule }}' as rule,
        subject,
        model_id,
        mode,
        week_start as checked_on,
        {{ value }} as value,
        n
    from concept_drift

    union all

    {% endfor -%}

    {% for rule, value, n in [
        ('missing_box_scores', 'missing_games', 'games_scheduled'),
        ('rejected_rows', 'rejected_share', 'box_score_rows'),
        ('empty_rows', 'empty_share', 'played_rows'),
        ('constant_features', 'constant_feature_count', 'feature_rows'),
        ('feature_outliers', 'outlier_share', 'feature_rows'),
    ] -%}
    select
        '{{ rule }}' as rule,
        'data' as subject,
        cast(null as string) as model_id,
        cast(null as string) as mode,
        game_date as checked_on,
        {{ value }} as value,
        {{ n }} as n
    from data_quality

    union all

    {% endfor -%}

    select
        'late_corrections' as rule,
        live_days.model_id as subject,
        live_days.model_id,
        cast(null as string) as mode,
        live_days.game_date as checked_on,
        corrected.share as value,
        corrected.n
    from live_days
    inner join corrected
        on live_days.model_id = corrected.model_id

    union all

    {% for rule, value in [
        ('model_too_old', 'trained_at'),
        ('retraining_missing', 'last_trained_at'),
    ] -%}
    select
        '{{ rule }}' as rule,
        model_id as subject,
        model_id,
        cast(null as string) as mode,
        game_date as checked_on,
        {{ dbt.datediff('cast(' ~ value ~ ' as date)', 'game_date', 'day') }} as value,
        1 as n
    from ages

    union all

    {% endfor -%}

    select
        check_name as rule,
        'registry' as subject,
        cast(null as string) as model_id,
        cast(null as string) as mode,
        cast(checked_at as date) as checked_on,
        failures as value,
        1 as n
    from health
    where recency = 1
),

-- a feature's own limit before the general one
limited as (
    select
        figures.rule,
        figures.subject,
        figures.model_id,
        figures.mode,
        figures.checked_on,
        cast(figures.value as {{ dbt.type_float() }}) as value,
        cast(figures.n as int64) as n,
        rules.comparison,
        rules.min_rows,
        case
            when own.rule is not null then own.limit_value
            else coalesce(general.limit_value, rules.limit_value)
        end as limit_value
    from figures
    inner join rules
        on figures.rule = rules.rule
    left join {{ ref('drift_limits') }} as own
        on
            figures.rule = own.rule
            and figures.subject = concat(figures.model_id, ' ', own.feature_name)
    left join {{ ref('drift_limits') }} as general
        on
            figures.rule = general.rule
            and general.feature_name is null
),

-- on too few rows nothing is judged
final as (
    select
        rule,
        subject,
        model_id,
        mode,
        checked_on,
        value,
        n,
        limit_value,
        coalesce(
            case comparison
                when 'above' then value > limit_value
                when 'below' then value < limit_value
                when 'outside' then abs(value) > limit_value
            end,
            false
        ) as is_breached
    from limited
    where
        value is not null
        and limit_value is not null
        and n >= min_rows
)

select * from final
