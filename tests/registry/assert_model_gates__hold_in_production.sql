-- A model in production with a gate that does not hold, or is not decided, although no
-- event of it says why: `"force": "reason"` in the details of its staged or promoted
-- event. A model's figures never change after training, so the gates of today are those
-- of its promotion, but for a limit that was changed since, and for the model that it
-- replaced (not_worse_than_production passes once it is live).
with

forced as (
    select distinct model_id from {{ ref('model_events') }}
    where
        event_type in ('staged', 'promoted')
        and {{ matches('details', '"force": ?"[^"]') }}
)

select
    gates.model_id,
    gates.gate,
    gates.population,
    gates.explanation
from {{ ref('model_gates') }} as gates
inner join {{ ref('model_registry') }} as models
    on gates.model_id = models.model_id
left join forced
    on gates.model_id = forced.model_id
where
    models.status = 'production'
    and forced.model_id is null
    and not coalesce(gates.has_passed, false)
