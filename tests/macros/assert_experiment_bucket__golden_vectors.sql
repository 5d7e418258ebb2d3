-- Bit for bit what Python's hashlib gives; NULL has no bucket.
with

cases as (
    select
        experiment,
        player_lookup,
        bucket as expected
    from {{ ref('experiment_bucket_vectors') }}

    union all

    select
        'experiment' as experiment,
        cast(null as string) as player_lookup,
        null as expected
),

buckets as (
    select
        *,
        {{ experiment_bucket('experiment', 'player_lookup') }} as actual
    from cases
)

select
    experiment,
    player_lookup,
    actual,
    expected
from buckets
where actual is distinct from expected
