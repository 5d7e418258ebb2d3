-- Runs of broken checks that are as long as their rule asks for: opened, still open,
-- closed.
with

rules as (
    select * from {{ ref('alert_rules') }}
),

-- the checks of one rule and subject one after another
ordered as (
    select
        *,
        row_number() over (
            partition by rule, subject, mode
            order by checked_on
        ) as check_number,
        row_number() over (
            partition by rule, subject, mode, is_breached
            order by checked_on
        ) as check_number_of_its_kind,
        lead(checked_on) over (
            partition by rule, subject, mode
            order by checked_on
        ) as next_checked_on
    from {{ ref('alert_checks') }}
),

-- breaches in a row have the same difference
numbered as (
    select
        *,
        check_number - check_number_of_its_kind as run,
        row_number() over (
            partition by rule, subject, mode, check_number - check_number_of_its_kind
            order by checked_on
        ) as position_in_run,
        row_number() over (
            partition by rule, subject, mode, check_number - check_number_of_its_kind
            order by checked_on desc
        ) as position_from_end
    from ordered
    where is_breached
),

runs as (
    select
        numbered.rule,
        numbered.subject,
        numbered.mode,
        max(numbered.model_id) as model_id,
        min(numbered.checked_on) as first_seen_on,
        min(
            case
                when numbered.position_in_run = rules.checks_in_a_row
                    then numbered.checked_on
            end
        ) as opened_on,
        max(numbered.checked_on) as last_seen_on,
        max(case when numbered.position_from_end = 1 then numbered.next_checked_on end)
            as recovered_on,
        count(*) as checks,
        max(case when numbered.position_from_end = 1 then numbered.value end) as value,
        max(case when numbered.position_from_end = 1 then numbered.limit_value end)
            as limit_value,
        max(case when numbered.position_from_end = 1 then numbered.n end) as n
    from numbered
    inner join rules
        on numbered.rule = rules.rule
    group by
        numbered.rule,
        numbered.subject,
        numbered.mode,
        numbered.run
),

-- when a model left production for good
left_production as (
    select
        model_id,
        max(live_until) as left_at
    from {{ ref('model_live_periods') }}
    group by model_id
    having count(*) = count(live_until)
),

-- What is not looked at any more is not open for ever: a model that was replaced, a
-- season that is over.
closed as (
    select
        runs.*,
        case
            when runs.recovered_on is not null then runs.recovered_on
            when left_production.left_at is not null
                then
                    greatest(
                        cast(left_production.left_at as date), runs.last_seen_on
                    )
            when
                {{ dbt.datediff('runs.last_seen_on', as_of_date(), 'day') }} > 14
                then
                    cast({{ dbt.dateadd('day', 14, 'runs.last_seen_on') }} as date)
        end as closed_on,
        case
            when runs.recovered_on is not null then 'The next check passed.'
            when left_production.left_at is not null
                then 'The model left production.'
            when
                {{ dbt.datediff('runs.last_seen_on', as_of_date(), 'day') }} > 14
                then 'Not checked for 14 days.'
        end as closed_because
    from runs
    left join left_production
        on runs.model_id = left_production.model_id
    where runs.opened_on is not null
),

-- Beside an alert of another rule on the same subject at the same time; one that is
-- open only while the other is.
escalated as (
    select distinct
        one.rule,
        one.subject,
        one.mode,
        one.opened_on
    from closed as one
    inner join rules
        on one.rule = rules.rule
    inner join closed as other
        on
            rules.escalates_with = other.rule
            and one.subject = other.subject
            and coalesce(one.mode, '') = coalesce(other.mode, '')
            and one.first_seen_on <= other.last_seen_on
            and one.last_seen_on >= other.first_seen_on
            and (one.closed_on is not null or other.closed_on is null)
),

final as (
    select
        ---------- what
        {{ dbt.hash(
            "concat(closed.rule, '|', closed.subject, '|', coalesce(closed.mode, '')"
            ~ ", '|', cast(closed.first_seen_on as string))"
        ) }} as alert_id,
        closed.rule,
        case when escalated.rule is not null then 'critical' else rules.severity end
            as severity,
        rules.area,
        closed.subject,
        closed.model_id,
        closed.mode,

        ---------- when
        closed.first_seen_on,
        closed.opened_on,
        closed.last_seen_on,
        closed.closed_on,
        closed.closed_on is null as is_open,
        closed.closed_because,

        ---------- evidence: the last broken check
        closed.checks,
        closed.value,
        closed.limit_value,
        closed.n,
        concat(
            closed.subject,
            case
                when closed.mode is not null then concat(' (', closed.mode, ')')
                else ''
            end,
            ': ', rules.figure, ' is ', {{ number_text('closed.value') }},
            case
                when closed.n > 1
                    then concat(' on ', cast(closed.n as string), ' rows')
                else ''
            end,
            ', and must not be ', rules.comparison, ' ',
            {{ number_text('closed.limit_value') }}, '; ',
            case
                when closed.checks > 1
                    then
                        concat(
                            cast(closed.checks as string), ' ',
                            replace(rules.every, '_', ' '), 's in a row, '
                        )
                else ''
            end,
            'since ', cast(closed.first_seen_on as string), '.'
        ) as explanation,
        rules.reason,
        concat('docs/monitoring.md#', closed.rule) as remedy
    from closed
    inner join rules
        on closed.rule = rules.rule
    left join escalated
        on
            closed.rule = escalated.rule
            and closed.subject = escalated.subject
            and coalesce(closed.mode, '') = coalesce(escalated.mode, '')
            and closed.opened_on = escalated.opened_on
)

select * from final
