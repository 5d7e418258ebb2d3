{#- The body of training_set for one version of the store: its features as they stood
    before the game, and the outcome. Regular season, played, final, and enough games
    before. -#}
{% macro training_rows(version) -%}
with

features as (
    select * from {{ ref('feature_store', v=version) }}
    where
        not is_scheduled
        and season_type = 'regular'
        and games_played_prior >= {{ var('min_prior_games') }}
),

outcomes as (
    select * from {{ ref('stg_player_game_summary') }}
    where
        is_played
        and not is_partial
),

final as (
    select
        features.*,
        {{ pregame_tier(
            'coalesce(features.points_avg_season, features.points_avg_last_10)'
        ) }} as tier,
        cast(outcomes.minutes_played as {{ dbt.type_float() }}) as minutes_played,
        outcomes.points as target_points
    from features
    inner join outcomes
        on
            features.game_id = outcomes.game_id
            and features.player_lookup = outcomes.player_lookup
)

select * from final
{%- endmacro %}
