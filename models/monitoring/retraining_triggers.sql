-- Is it time to train again, and what says so? nba-ml retrain --if-due asks.
{{ config(materialized='view') }}
with

limits as (
    select
        max(case when limit_name = 'monthly' then limit_value end)
            as monthly_limit,
        max(case when limit_name = 'drift' then limit_value end)
            as drift_limit,
        max(case when limit_name = 'season_start' then limit_value end)
            as season_start_limit,
        max(case when limit_name = 'model_age' then limit_value end)
            as model_age_limit,
        max(case when limit_name = 'worse_than_baseline' then limit_value end)
            as worse_than_baseline_limit,
        max(case when limit_name = 'feature_version' then limit_value end)
            as feature_version_limit,
        max(case when limit_name = 'season_gap' then limit_value end)
            as season_gap_limit
    from {{ ref('retraining_limits') }}
),

-- the month begins at the hour of its run
clock as (
    select
        {{ as_of_date() }} as as_of_date,
        cast(
            {{ dbt.dateadd('hour', 'limits.monthly_limit', dbt.date_trunc(
                'month', dbt.dateadd('hour', '-limits.monthly_limit', as_of())
            )) }} as timestamp
        ) as month_start
    from limits
),

-- whatever became of it
newest as (
    select
        max(model_id) as model_id,
        max(event_at) as trained_at,
        max(cast(event_at as date)) as trained_on,
        max(cast(substr(feature_version, 2) as int64)) as feature_version
    from (
        select
            *,
            row_number() over (
                order by event_at desc, event_sequence desc, event_id desc
            ) as recency
        from {{ ref('model_events') }}
        where event_type = 'trained'
    ) as trained
    where recency = 1
),

production as (
    select
        max(model_id) as model_id,
        max(cast(trained_at as date)) as trained_on
    from {{ ref('model_registry') }}
    where status = 'production'
),

-- without a schedule only the games before are known
season as (
    select
        coalesce(
            min(
                abs({{ dbt.datediff('games.game_date', 'clock.as_of_date', 'day') }})
            ) <= max(limits.season_gap_limit),
            false
        ) as is_in_season
    from {{ ref('stg_game_schedule') }} as games
    cross join clock
    cross join limits
    where games.season_type = 'regular'
),

opening as (
    select max(phases.first_date) as opening_date
    from {{ ref('season_phases') }} as phases
    cross join clock
    where
        phases.season_phase = 'first_30_days'
        and phases.first_date <= clock.as_of_date
),

-- of the model in production, or of none; since the newest model was trained, which
-- knows what was before. An alert opens on a date that is over, so one that made a
-- model be trained is of a date before.
open_alerts as (
    select
        alerts.opened_on,
        alerts.area = 'drift' as is_drift,
        alerts.rule = 'worse_than_baseline'
        and limits.worse_than_baseline_limit
        <= {{ dbt.datediff('alerts.opened_on', 'alerts.last_seen_on', 'day') }}
            as is_worse
    from {{ ref('alerts') }} as alerts
    cross join newest
    cross join production
    cross join limits
    where
        alerts.is_open
        and coalesce(alerts.model_id, production.model_id) = production.model_id
        and alerts.opened_on >= newest.trained_on
),

alerted as (
    select
        count(case when is_drift then 1 end) as drifts,
        min(case when is_drift then opened_on end) as drift_since,
        min(case when is_worse then opened_on end) as worse_since
    from open_alerts
),

catalog as (
    select max(cast(substr(feature_version, 2) as int64)) as feature_version
    from {{ ref('feature_catalog') }}
),

-- who was refused came to no end either
last_run as (
    select
        max(outcome) as outcome,
        max(cast(started_at as date)) as started_on,
        max(explanation) as explanation
    from (
        select
            *,
            row_number() over (
                order by started_at desc, event_sequence desc, event_id desc
            ) as recency
        from {{ ref('retraining_runs') }}
        where outcome != 'refused'
    ) as runs
    where recency = 1
),

facts as (
    select
        clock.as_of_date,
        clock.month_start,
        cast(clock.month_start as date) as month_start_date,
        newest.trained_at,
        newest.trained_on,
        newest.feature_version,
        {{ dbt.datediff('newest.trained_on', 'clock.as_of_date', 'day') }}
            as newest_age,
        case
            when newest.model_id is null then 'No model was trained yet.'
            else
                concat(
                    'The newest model, ', newest.model_id, ', was trained on ',
                    cast(newest.trained_on as string), '.'
                )
        end as newest_text,
        production.model_id as production_id,
        {{ dbt.datediff('production.trained_on', 'clock.as_of_date', 'day') }}
            as production_age,
        season.is_in_season,
        case when season.is_in_season then '' else ' It is out of season.' end
            as season_text,
        opening.opening_date,
        {{ dbt.datediff('opening.opening_date', 'clock.as_of_date', 'day') }}
            as days_of_season,
        alerted.drifts,
        alerted.drift_since,
        alerted.worse_since,
        catalog.feature_version as catalog_version,
        last_run.outcome,
        last_run.started_on,
        last_run.explanation,
        limits.*
    from clock
    cross join limits
    cross join newest
    cross join production
    cross join season
    cross join opening
    cross join alerted
    cross join catalog
    cross join last_run
),

asked as (
    select
        'monthly' as trigger,
        is_in_season and coalesce(trained_at < month_start, true) as is_due,
        month_start_date as since,
        concat(
            newest_text, ' The run of the month is of ',
            cast(month_start_date as string), '.', season_text
        ) as evidence
    from facts

    union all

    select
        'drift' as trigger,
        drifts >= drift_limit as is_due,
        drift_since as since,
        concat(
            newest_text, ' Open alerts of drift since then: ',
            {{ number_text('drifts') }}, '.'
        ) as evidence
    from facts

    union all

    select
        'season_start' as trigger,
        days_of_season <= season_start_limit
        and coalesce(trained_on < opening_date, true) as is_due,
        opening_date as since,
        case
            when opening_date is null then 'No season has begun.'
            else
                concat(
                    newest_text, ' The season is ', {{ number_text('days_of_season') }},
                    ' days old, and counts as new for ',
                    {{ number_text('season_start_limit') }}, '.'
                )
        end as evidence
    from facts

    union all

    -- while a newer model waits for its promotion, another would not help
    select
        'model_age' as trigger,
        is_in_season
        and production_age > model_age_limit
        and newest_age > model_age_limit as is_due,
        cast(
            {{ dbt.dateadd('day', 'model_age_limit + 1 - newest_age', 'as_of_date') }}
            as date
        ) as since,
        case
            when production_id is null then 'No model is in production.'
            else
                concat(
                    production_id, ' in production is ',
                    {{ number_text('production_age') }},
                    ' days old, the newest model ', {{ number_text('newest_age') }},
                    ', and ', {{ number_text('model_age_limit') }}, ' are the limit.',
                    season_text
                )
        end as evidence
    from facts

    union all

    select
        'worse_than_baseline' as trigger,
        worse_since is not null as is_due,
        worse_since as since,
        case
            when worse_since is null
                then
                    concat(
                        newest_text, ' No alert of this rule is open for ',
                        {{ number_text('worse_than_baseline_limit') }}, ' days since.'
                    )
            else
                concat(
                    newest_text, ' The model in production, ', production_id,
                    ', is worse than the best baseline since ',
                    cast(worse_since as string), '.'
                )
        end as evidence
    from facts

    union all

    select
        'feature_version' as trigger,
        catalog_version - feature_version >= feature_version_limit as is_due,
        cast(null as date) as since,
        concat(
            'The newest version of the features is v',
            {{ number_text('catalog_version') }}, case
                when feature_version is null then '.'
                else
                    concat(
                        ', that of the newest model v',
                        {{ number_text('feature_version') }}, '.'
                    )
            end
        ) as evidence
    from facts

    union all

    select
        'unfinished_run' as trigger,
        outcome = 'failed' as is_due,
        started_on as since,
        case
            when outcome = 'failed'
                then
                    concat(
                        'The run of ', cast(started_on as string), ' failed: ',
                        explanation
                    )
            when outcome is null then 'There was no run yet.'
            else
                concat(
                    'The run of ', cast(started_on as string), ' ended: ', outcome, '.'
                )
        end as evidence
    from facts
),

final as (
    select
        asked.trigger,
        coalesce(asked.is_due, false) as is_due,
        case when asked.is_due then asked.since end as due_since,
        asked.evidence,
        limits.reason
    from asked
    inner join {{ ref('retraining_limits') }} as limits
        on asked.trigger = limits.limit_name
)

select * from final
