-- The user's own factors, where all four are there and possible. Anything less
-- is left to the formulas: the two are never mixed within a row.
{%- set relation = source('nba_precompute', 'player_composite_factors') %}
{%- set columns = source_columns(relation) %}
with

factors as (
    select
        {{ column_or_null(columns, 'player_lookup', 'string') }} as player_lookup,
        {{ column_or_null(columns, 'game_date', 'date') }} as game_date,
        {{ column_or_null(columns, 'fatigue_score', 'int64') }} as fatigue_score,
        {{ column_or_null(columns, 'shot_zone_mismatch_score', dbt.type_float()) }}
            as shot_zone_mismatch_score,
        {{ column_or_null(columns, 'pace_score', dbt.type_float()) }} as pace_score,
        {{ column_or_null(columns, 'usage_spike_score', dbt.type_float()) }}
            as usage_spike_score
    from {{ source_or_empty(relation, columns) }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by player_lookup, game_date
            order by
                fatigue_score,
                shot_zone_mismatch_score,
                pace_score,
                usage_spike_score
        ) as duplicate_rank
    from factors
    where
        fatigue_score between 35 and 100
        and shot_zone_mismatch_score between -10 and 10
        and pace_score between -3 and 3
        and usage_spike_score between -3 and 3
),

final as (
    select
        player_lookup,
        game_date,
        fatigue_score,
        shot_zone_mismatch_score,
        pace_score,
        usage_spike_score
    from ranked
    where duplicate_rank = 1
)

select * from final
