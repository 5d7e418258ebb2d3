-- A model whose file is not in the folder of its status: trained and staged ones in
-- staging, live ones in production, retired ones in archive. Only where the event that
-- made the status says where the file is.
with

placed as (
    select transitions.model_id from {{ ref('model_transitions') }} as transitions
    inner join {{ ref('model_events') }} as events
        on transitions.event_id = events.event_id
    where
        transitions.recency = 1
        and events.gcs_path is not null
)

select
    models.model_id,
    models.status,
    models.gcs_path
from {{ ref('model_registry') }} as models
inner join placed
    on models.model_id = placed.model_id
where
    not case models.status
        when 'production'
            then {{ matches('models.gcs_path', '(^|/)production/[^/]+$') }}
        when 'retired' then {{ matches('models.gcs_path', '(^|/)archive/[^/]+$') }}
        else {{ matches('models.gcs_path', '(^|/)staging/[^/]+$') }}
    end
