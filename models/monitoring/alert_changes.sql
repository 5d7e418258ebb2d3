-- What there is to tell about alerts, and whether the webhook was told.
{{ config(materialized='view') }}
with

posted as (
    select
        alert_id,
        change,
        min(severity) as severity,
        min(posted_at) as posted_at
    from {{ ref('alert_messages') }}
    group by alert_id, change
),

since as (
    select min(cast(posted_at as date)) as first_date from posted
),

found as (
    select * from {{ ref('alerts') }}
),

-- who is told from now on need not hear what was over before, but of what was told
told_of as (
    select
        found.*,
        posted.severity as told_severity
    from found
    cross join since
    left join posted
        on
            found.alert_id = posted.alert_id
            and posted.change = 'opened'
    where
        found.is_open
        or found.closed_on >= since.first_date
        or posted.alert_id is not null
),

-- what was told of and is no alert any more: its data were corrected since
withdrawn as (
    select
        opened.alert_id,
        max(opened.severity) as severity,
        max(opened.text) as text
    from {{ ref('alert_messages') }} as opened
    left join found
        on opened.alert_id = found.alert_id
    where
        opened.change = 'opened'
        and found.alert_id is null
    group by opened.alert_id
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

    -- who was told of a warning has to hear that it is critical by now
    select
        alert_id,
        'escalated' as change,
        last_seen_on as changed_on,
        severity,
        concat(
            'The warning of ', cast(opened_on as string), ' is critical now: ',
            explanation, ' What to do: ', remedy
        ) as text
    from told_of
    where
        is_open
        and severity = 'critical'
        and told_severity = 'warning'

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

    union all

    select
        alert_id,
        'closed' as change,
        {{ as_of_date() }} as changed_on,
        severity,
        concat('Withdrawn, by later data: ', text) as text
    from withdrawn
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
