-- Were the data of each game day whole, and did the features made of them look alive?
{%- set float = dbt.type_float() %}
{%- set versions = feature_versions() %}
with

games as (
    select * from {{ ref('stg_game_schedule') }}
    where
        not is_scheduled
        and season_type = 'regular'
),

box_scores as (
    select * from {{ ref('base_player_game_summary') }}
    where game_date < {{ as_of_date() }}
),

game_rows as (
    select
        game_id,
        count(*) as box_score_rows,
        sum(case when rejection_reason is not null then 1 else 0 end) as rejected_rows,
        sum(case when rejection_reason is null and is_played then 1 else 0 end)
            as played_rows,
        -- nobody shot, lost or rebounded the ball: perhaps nobody was on the floor
        sum(
            case
                when
                    rejection_reason is null
                    and is_played
                    and points + fg_attempts + ft_attempts + turnovers
                    + offensive_rebounds = 0
                    then 1
                else 0
            end
        ) as empty_rows
    from box_scores
    group by game_id
),

days as (
    select
        games.game_date,
        min(games.season_year) as season_year,
        count(*) as games_scheduled,
        sum(case when game_rows.played_rows > 0 then 1 else 0 end)
            as games_with_box_scores,
        coalesce(sum(game_rows.box_score_rows), 0) as box_score_rows,
        coalesce(sum(game_rows.rejected_rows), 0) as rejected_rows,
        coalesce(sum(game_rows.played_rows), 0) as played_rows,
        coalesce(sum(game_rows.empty_rows), 0) as empty_rows
    from games
    left join game_rows
        on games.game_id = game_rows.game_id
    group by games.game_date
),

-- played games: whoever appeared was available, so no feature waits for a report
{% for version in versions -%}
eligible_v{{ version }} as (
    select * from {{ ref('feature_store', v=version) }}
    where
        not is_scheduled
        and season_type = 'regular'
        and games_played_prior >= {{ var('min_prior_games') }}
),

-- one row per season: mean and deviation of every feature
usual_v{{ version }} as (
    select
        {% for feature in features_of(version) -%}
        max(case when feature_name = '{{ feature.name }}' then mean end)
            as {{ feature.name }}_mean,
        max(case when feature_name = '{{ feature.name }}' then standard_deviation end)
            as {{ feature.name }}_deviation,
        {% endfor -%}
        season_year
    from {{ ref('feature_quality') }}
    where feature_version = 'v{{ version }}'
    group by season_year
),

{% endfor -%}
version_days as (
    {% for version in versions -%}
    {% set features = features_of(version) -%}
    {#- a flag may be the same for everybody on a day, and nobody may be missing -#}
    {% set counted = features | rejectattr('may_be_zero') -%}
    {% set alive = counted | rejectattr('unit', 'equalto', 'flag') | list -%}
    select
        'v{{ version }}' as feature_version,
        eligible.game_date,
        count(*) as feature_rows,
        count(*) * {{ features | length }} as feature_values,
        sum(eligible.missing_feature_count) as missing_values,
        concat(
            {% for feature in alive -%}
            case
                when
                    count(eligible.{{ feature.name }}) >= 20
                    and min(eligible.{{ feature.name }})
                    = max(eligible.{{ feature.name }})
                    then 'v{{ version }}.{{ feature.name }} '
                else ''
            end
            {{- "," if not loop.last }}
            {% endfor %}
        ) as constant_features,
        sum(
            {% for feature in features -%}
            case
                when
                    usual.{{ feature.name }}_deviation > 0
                    and abs(
                        eligible.{{ feature.name }} - usual.{{ feature.name }}_mean
                    ) > 6 * usual.{{ feature.name }}_deviation
                    then 1
                else 0
            end
            {{- " +" if not loop.last }}
            {% endfor %}
        ) as outliers
    from eligible_v{{ version }} as eligible
    left join usual_v{{ version }} as usual
        on eligible.season_year = usual.season_year
    group by eligible.game_date
    {{ "union all" if not loop.last }}
    {% endfor %}
),

-- the versions have the same rows, and each its own values
feature_days as (
    select
        game_date,
        max(feature_rows) as feature_rows,
        sum(missing_values) / cast(sum(feature_values) as {{ float }})
            as feature_null_rate,
        sum(outliers) / cast(sum(feature_values) as {{ float }}) as outlier_share,
        concat(
            {% for version in versions -%}
            coalesce(
                max(
                    case
                        when feature_version = 'v{{ version }}' then constant_features
                    end
                ),
                ''
            )
            {{- "," if not loop.last }}
            {% endfor %}
        ) as constant_features
    from version_days
    group by game_date
),

-- outcomes that are others now than when a model was tested on them
corrections as (
    select
        tested.game_date,
        count(distinct concat(tested.game_id, ' ', tested.player_lookup))
            as late_corrections
    from {{ ref('test_predictions') }} as tested
    inner join {{ ref('stg_player_game_summary') }} as outcomes
        on
            tested.game_id = outcomes.game_id
            and tested.player_lookup = outcomes.player_lookup
    where tested.actual_points != outcomes.points
    group by tested.game_date
),

final as (
    select
        ---------- which day
        days.game_date,
        days.season_year,

        ---------- box scores against the schedule
        days.games_scheduled,
        days.games_with_box_scores,
        days.games_scheduled - days.games_with_box_scores as missing_games,
        days.box_score_rows,
        days.played_rows,
        days.rejected_rows,
        days.rejected_rows / nullif(cast(days.box_score_rows as {{ float }}), 0)
            as rejected_share,
        days.empty_rows,
        days.empty_rows / nullif(cast(days.played_rows as {{ float }}), 0)
            as empty_share,
        coalesce(corrections.late_corrections, 0) as late_corrections,

        ---------- features of the players in scope
        coalesce(feature_days.feature_rows, 0) as feature_rows,
        feature_days.feature_null_rate,
        feature_days.outlier_share,
        trim(feature_days.constant_features) as constant_features,
        length(feature_days.constant_features)
        - length(replace(feature_days.constant_features, ' ', ''))
            as constant_feature_count
    from days
    left join feature_days
        on days.game_date = feature_days.game_date
    left join corrections
        on days.game_date = corrections.game_date
)

select * from final
