-- Was everybody predicted who should have been, by the model that should, on the
-- features that the store has? By game day.
{%- set float = dbt.type_float() %}
{%- set versions = feature_versions() %}
with

forecasts as (
    select * from {{ ref('pregame_predictions') }}
    where recency = 1
),

-- who is in scope: expected to play, or, once the game is over, who played; every
-- version of the store has the same rows
expected as (
    select
        game_id,
        player_lookup,
        game_date
    from {{ ref('feature_store', v=versions[0]) }}
    where
        season_type = 'regular'
        and games_played_prior >= {{ var('min_prior_games') }}
),

expected_days as (
    select
        game_date,
        count(*) as expected
    from expected
    group by game_date
),

-- an answer of the challenger is one, too
answered as (
    select distinct
        forecasts.mode,
        forecasts.game_id,
        forecasts.player_lookup,
        expected.game_date
    from forecasts
    inner join expected
        on
            forecasts.game_id = expected.game_id
            and forecasts.player_lookup = expected.player_lookup
    where forecasts.variant in ('production', 'staging')
),

answered_days as (
    select
        mode,
        game_date,
        count(*) as answered
    from answered
    group by mode, game_date
),

-- who was live when a forecast was made; for five minutes after a change, both: until
-- it has heard of it, a worker answers by the model before
live as (
    select distinct
        forecasts.prediction_id,
        periods.model_id
    from forecasts
    inner join {{ ref('model_live_periods') }} as periods
        on
            forecasts.predicted_at >= periods.live_from
            and (
                periods.live_until is null
                or forecasts.predicted_at <= cast(
                    {{ dbt.dateadd('minute', 5, 'periods.live_until') }} as timestamp
                )
            )
    where forecasts.variant = 'production'
),

-- only other models were live, or the file is not the registered one; a replay may be
-- by any model
misattributed as (
    select
        forecasts.prediction_id,
        (
            max(forecasts.mode) = 'live'
            and count(live.model_id) > 0
            and count(case when live.model_id = forecasts.model_id then 1 end) = 0
        )
        or max(forecasts.artifact_sha256) != coalesce(max(registry.artifact_sha256), '')
            as is_misattributed
    from forecasts
    left join live
        on forecasts.prediction_id = live.prediction_id
    left join {{ ref('model_registry') }} as registry
        on forecasts.model_id = registry.model_id
    where forecasts.variant = 'production'
    group by forecasts.prediction_id
),

-- features that are NULL without an availability report, which most games have not
from_reports as (
    {% for version in versions -%}
    {% for feature in features_of(version) if feature.requires == 'availability' -%}
    select
        'v{{ version }}' as feature_version,
        '{{ feature.name }}' as feature_name
    union all
    {% endfor -%}
    {% endfor -%}
    select
        cast(null as string) as feature_version,
        cast(null as string) as feature_name
),

-- Without what follows from who plays: of a game that is over the store has that from
-- the box score. parity_mismatches compares it with the build that was served.
{% for version in versions %}
compared_v{{ version }} as (
    select
        served.prediction_id,
        max(
            case
                when
                    coalesce(
                        served.served_value
                        != case served.feature_name
                            {% for feature in features_of(version) -%}
                            when '{{ feature.name }}'
                                then cast(store.{{ feature.name }} as {{ float }})
                            {% endfor -%}
                        end,
                        (served.served_value is null)
                        != (
                            case served.feature_name
                                {% for feature in features_of(version) -%}
                                when '{{ feature.name }}'
                                    then cast(store.{{ feature.name }} as {{ float }})
                                {% endfor -%}
                            end is null
                        )
                    )
                    then 1
                else 0
            end
        ) as is_skewed
    from {{ ref('served_features') }} as served
    inner join {{ ref('feature_store', v=version) }} as store
        on
            served.game_id = store.game_id
            and served.player_lookup = store.player_lookup
    inner join forecasts
        on
            served.prediction_id = forecasts.prediction_id
            and forecasts.feature_version = 'v{{ version }}'
    left join from_reports
        on
            from_reports.feature_version = 'v{{ version }}'
            and served.feature_name = from_reports.feature_name
    where from_reports.feature_name is null
    group by served.prediction_id
),
{% endfor %}

compared as (
    {% for version in versions -%}
    select * from compared_v{{ version }}
    {{ "union all" if not loop.last }}
    {% endfor %}
),

missing as (
    select
        served.prediction_id,
        count(*) as features,
        count(served.served_value) as known_features
    from {{ ref('served_features') }} as served
    inner join forecasts
        on served.prediction_id = forecasts.prediction_id
    left join from_reports
        on
            forecasts.feature_version = from_reports.feature_version
            and served.feature_name = from_reports.feature_name
    where
        from_reports.feature_name is null
        or forecasts.has_availability_report
    group by served.prediction_id
),

measured as (
    select
        forecasts.model_id,
        forecasts.variant,
        forecasts.mode,
        forecasts.game_date,
        count(*) as predicted,
        1 - cast(sum(missing.known_features) as {{ float }}) / sum(missing.features)
            as missing_rate,
        {{ exact_mean('forecasts.feature_quality_score') }} as feature_quality_mean,
        count(compared.prediction_id) as compared,
        coalesce(sum(compared.is_skewed), 0) as skewed,
        count(case when misattributed.is_misattributed then 1 end) as wrong_model
    from forecasts
    left join missing
        on forecasts.prediction_id = missing.prediction_id
    left join compared
        on forecasts.prediction_id = compared.prediction_id
    left join misattributed
        on forecasts.prediction_id = misattributed.prediction_id
    group by
        forecasts.model_id,
        forecasts.variant,
        forecasts.mode,
        forecasts.game_date
),

final as (
    select
        ---------- of what
        measured.model_id,
        measured.variant,
        measured.mode,
        measured.game_date,
        measured.predicted,

        ---------- everybody of the day, by whatever model
        coalesce(expected_days.expected, 0) as expected,
        coalesce(answered_days.answered, 0) as answered,
        coalesce(answered_days.answered, 0)
        / cast(expected_days.expected as {{ float }}) as answered_share,

        ---------- on what features
        measured.missing_rate,
        measured.feature_quality_mean,
        measured.compared,
        measured.skewed,
        measured.skewed / nullif(cast(measured.compared as {{ float }}), 0)
            as skewed_share,

        ---------- by which model
        measured.wrong_model
    from measured
    left join expected_days
        on measured.game_date = expected_days.game_date
    left join answered_days
        on
            measured.mode = answered_days.mode
            and measured.game_date = answered_days.game_date
)

select * from final
