{#- The depth charts in the oracle tests, as CTE `roles` that comes after
    oracle_rotations: each player who is there beside the others of the rotation. -#}
{% macro oracle_roles() -%}
others as (
    select
        loads.game_id,
        loads.player_lookup,
        rotations.minutes_load,
        rotations.attempts_load,
        rotations.points_load,
        coalesce(rotations.minutes_load > loads.minutes_load, false) as plays_more,
        coalesce(rotations.points_load > loads.points_load, false) as scores_more
    from loads
    inner join known_games
        on
            loads.game_id = known_games.game_id
            and loads.team_abbr = known_games.team_abbr
    left join rotations
        on
            loads.game_id = rotations.game_id
            and loads.team_abbr = rotations.team_abbr
            and loads.player_lookup <> rotations.player_lookup
            and rotations.is_present
),

added as (
    select
        game_id,
        player_lookup,
        coalesce(sum(minutes_load), 0) as minutes_of_others,
        coalesce(sum(attempts_load), 0) as attempts_of_others,
        coalesce(sum(points_load), 0) as points_of_others,
        sum(case when plays_more then minutes_load else 0 end) as minutes_above,
        sum(case when scores_more then points_load else 0 end) as points_above,
        1 + sum(case when plays_more then 1 else 0 end) as minutes_rank,
        1 + sum(case when scores_more then 1 else 0 end) as points_rank
    from others
    group by game_id, player_lookup
),

roles as (
    select
        added.*,
        {% for load in ('minutes', 'attempts', 'points') -%}
        cast(loads.{{ load }}_load as {{ dbt.type_float() }})
        / nullif(loads.{{ load }}_load + added.{{ load }}_of_others, 0)
            as {{ load }}_share{{ "," if not loop.last }}
        {% endfor %}
    from added
    inner join loads
        on
            added.game_id = loads.game_id
            and added.player_lookup = loads.player_lookup
)
{%- endmacro %}
