{#- What counts of the past in the oracle tests, regular season and final, as CTEs that
    come after oracle_sample: `team_games`, where both box scores are whole, and
    `player_games`, with the usage as the source has it, else by the formula. -#}
{% macro oracle_history() -%}
team_totals as (
    select
        game_id,
        game_day,
        season_year,
        team_abbr,
        opponent_team_abbr,
        sum(points) as points,
        sum(fg_attempts) + 0.44 * sum(ft_attempts) + sum(turnovers) as plays,
        sum(offensive_rebounds) as offensive_rebounds
    from box_scores
    where season_type = 'regular'
    group by game_id, game_day, season_year, team_abbr, opponent_team_abbr
    having
        sum(fg_attempts) >= 50
        and max(case when is_partial then 1 else 0 end) = 0
),

team_games as (
    select
        own.game_id,
        own.game_day,
        own.season_year,
        own.team_abbr,
        own.plays,
        {{ exact('100.0 * own.points / (own.plays - own.offensive_rebounds)') }}
        - {{ exact(
            '100.0 * other.points / (other.plays - other.offensive_rebounds)'
        ) }} as net_rating
    from team_totals as own
    inner join team_totals as other
        on
            own.game_id = other.game_id
            and own.opponent_team_abbr = other.team_abbr
),

usages as (
    select
        box_scores.*,
        coalesce(
            box_scores.usage_rate,
            {{ exact(
                '100 * 48 * (box_scores.fg_attempts'
                ' + 0.44 * box_scores.ft_attempts + box_scores.turnovers)'
                ' / nullif(box_scores.minutes_played * team_games.plays, 0)'
            ) }}
        ) as usage_or_formula
    from box_scores
    left join team_games
        on
            box_scores.game_id = team_games.game_id
            and box_scores.team_abbr = team_games.team_abbr
    where
        box_scores.season_type = 'regular'
        and not box_scores.is_partial
),

player_games as (
    select
        *,
        cast(minutes_played as {{ dbt.type_float() }}) as minutes,
        case
            when usage_or_formula <= 100
                then cast(usage_or_formula as {{ dbt.type_float() }})
        end as usage
    from usages
)
{%- endmacro %}
