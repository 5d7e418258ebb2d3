-- What there is to tell about alerts, and whether the webhook was told.
{{ config(materialized='view') }}
with

posted as (
    select
        alert_id,
        change,
        min(posted_at) as posted_at
    from {{ ref('alert_messages') }}
    group by alert_id, change
),

-- who is told from now on need not hear what was over before
since as (
    select min(cast(posted_at as date)) as first_date from posted
),

told_of as (
    select alerts.* from {{ ref('alerts') }} as alerts
    cross join since
    where
        alerts.is_open
        or alerts.closed_on >= since.first_date
),

changes as (
    select
        alert_id,
        'opened' as change,
        opened_on as changed_on,
        severity,
        concat(
            upper(substr(severity, 1, 1)), substr(severity, 2), ' alert, opened on ',
            cast(opened_on as string), ': ', explanation, ' What to do: ', remedy
        ) as text
    from told_of

    union all

    select
        alert_id,
        'closed' as change,
        closed_on as changed_on,
        severity,
        concat(
            'Closed on ', cast(closed_on as string), ': the ', severity, ' alert of ',
            cast(opened_on as string), '. ', explanation
        ) as text
    from told_of
    where not is_open
),

final as (
    select
        changes.alert_id,
        changes.change,
        changes.changed_on,
        changes.severity,
        changes.text,
        posted.posted_at
    from changes
    left join posted
        on
            changes.alert_id = posted.alert_id
            and changes.change = posted.change
)

select * from final
