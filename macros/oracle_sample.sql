{#- The games that the oracle tests of one version of the store recompute, as CTEs that
    end in `targets`: by season 30 ordinary appearances and 8 of each edge (a player's
    first game of a season, first for a new team, playoffs), and up to 100 expected
    ones, or a `divisor`th of that. Drawn by a hash, so every run and both engines take
    the same rows. Played games come from staging: one that the store has lost is a
    difference. -#}
{% macro oracle_sample(version, divisor=1) -%}
box_scores as (
    select
        *,
        {{ game_day('game_date') }} as game_day
    from {{ ref('stg_player_game_summary') }}
    where is_played
),

stored as (
    select * from {{ ref('feature_store', v=version) }}
),

careers as (
    select
        *,
        lag(season_year) over (
            partition by player_lookup order by game_date, game_id
        ) as previous_season,
        lag(team_abbr) over (
            partition by player_lookup order by game_date, game_id
        ) as previous_team
    from box_scores
),

appearances as (
    select
        game_id,
        player_lookup,
        season_year,
        team_abbr,
        case
            when season_type = 'playoffs' then 'playoffs'
            when coalesce(previous_season, 0) <> season_year then 'season opener'
            when previous_team <> team_abbr then 'new team'
            else 'ordinary'
        end as kind
    from careers
    union all
    select
        game_id,
        player_lookup,
        season_year,
        team_abbr,
        'expected' as kind
    from stored
    where is_scheduled
),

drawn as (
    select
        *,
        row_number() over (
            partition by season_year, kind
            order by {{ dbt.hash("concat(game_id, player_lookup)") }}
        ) as place
    from appearances
),

targets as (
    select
        drawn.game_id,
        drawn.player_lookup,
        drawn.season_year,
        drawn.team_abbr,
        case
            when games.home_team_abbr = drawn.team_abbr
                then games.away_team_abbr
            else games.home_team_abbr
        end as opponent_team_abbr,
        games.home_team_abbr,
        games.game_date,
        {{ game_day('games.game_date') }} as game_day
    from drawn
    inner join {{ ref('stg_game_schedule') }} as games
        on drawn.game_id = games.game_id
    where
        drawn.place
        <= case drawn.kind when 'ordinary' then 30 when 'expected' then 100 else 8 end
        {%- if divisor > 1 %}
        / {{ divisor }}
        {%- endif %}
)
{%- endmacro %}
