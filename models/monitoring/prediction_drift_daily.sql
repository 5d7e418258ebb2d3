-- How far the forecasts of each day are from those on the model's test rows.
{%- set float = dbt.type_float() %}
with

-- value_rank and value_count are those of the day
ranked as (
    select
        model_id,
        variant,
        mode,
        game_date,
        predicted_points,
        row_number() over (
            partition by
                model_id,
                variant,
                mode,
                game_date
            order by predicted_points
        ) as value_rank,
        count(*) over (
            partition by
                model_id,
                variant,
                mode,
                game_date
        ) as value_count
    from {{ ref('pregame_predictions') }}
    where recency = 1
),

measured as (
    select
        ranked.model_id,
        ranked.variant,
        ranked.mode,
        ranked.game_date,
        count(*) as n,
        {{ exact_mean('ranked.predicted_points') }} as mean,
        {{ exact_deviation('ranked.predicted_points') }} as stddev,
        {{ percentile_by_rank(10, 'predicted_points') }} as p10,
        {{ percentile_by_rank(50, 'predicted_points') }} as p50,
        {{ percentile_by_rank(90, 'predicted_points') }} as p90,
        {{ exact_mean(
            'case when ranked.predicted_points <= 0 or ranked.predicted_points >= 60'
            ' then 1 else 0 end'
        ) }} as clamped_share
    from ranked
    group by
        ranked.model_id,
        ranked.variant,
        ranked.mode,
        ranked.game_date
),

tested as (
    select
        model_id,
        predicted_points,
        row_number() over (
            partition by model_id order by predicted_points
        ) as value_rank,
        count(*) over (partition by model_id) as value_count
    from {{ ref('test_predictions') }}
),

baselines as (
    select
        model_id,
        max(predicted_points) as maximum,
        {{ exact_mean('predicted_points') }} as mean,
        {{ exact_deviation('predicted_points') }} as stddev
    from tested
    group by model_id
),

tenths as (
    {% for tenth in range(1, 10) -%}
    select {{ tenth }} as tenth
    {{ "union all" if not loop.last }}
    {% endfor -%}
),

deciles as (
    select
        tested.model_id,
        tenths.tenth,
        min(tested.predicted_points) as edge
    from tested
    cross join tenths
    where 10 * tested.value_rank >= tenths.tenth * tested.value_count
    group by
        tested.model_id,
        tenths.tenth
),

-- as for features: repeated deciles are one edge, and none is the maximum
edges as (
    select distinct
        deciles.model_id,
        deciles.edge
    from deciles
    inner join baselines
        on
            deciles.model_id = baselines.model_id
            and deciles.edge < baselines.maximum
),

-- a bin holds what is above its lower edge, up to its upper one
bounds as (
    select
        model_id,
        lag(edge) over (partition by model_id order by edge) as lower_edge,
        edge as upper_edge,
        row_number() over (partition by model_id order by edge) as bin_number
    from edges

    union all

    select
        model_id,
        max(edge) as lower_edge,
        null as upper_edge,
        count(*) + 1 as bin_number
    from edges
    group by model_id
),

bins as (
    select
        bounds.model_id,
        bounds.bin_number,
        bounds.lower_edge,
        bounds.upper_edge,
        count(*) / cast(max(tested.value_count) as {{ float }}) as share
    from bounds
    inner join tested
        on bounds.model_id = tested.model_id
    where
        (bounds.lower_edge is null or tested.predicted_points > bounds.lower_edge)
        and (bounds.upper_edge is null or tested.predicted_points <= bounds.upper_edge)
    group by
        bounds.model_id,
        bounds.bin_number,
        bounds.lower_edge,
        bounds.upper_edge
),

binned as (
    select
        ranked.model_id,
        ranked.variant,
        ranked.mode,
        ranked.game_date,
        bins.bin_number,
        count(*) as value_count
    from ranked
    inner join bins
        on ranked.model_id = bins.model_id
    where
        (bins.lower_edge is null or ranked.predicted_points > bins.lower_edge)
        and (bins.upper_edge is null or ranked.predicted_points <= bins.upper_edge)
    group by
        ranked.model_id,
        ranked.variant,
        ranked.mode,
        ranked.game_date,
        bins.bin_number
),

-- a bin that no forecast fell into counts as well
shares as (
    select
        measured.model_id,
        measured.variant,
        measured.mode,
        measured.game_date,
        bins.share as baseline_share,
        coalesce(binned.value_count, 0) / cast(measured.n as {{ float }}) as share
    from measured
    inner join bins
        on measured.model_id = bins.model_id
    left join binned
        on
            measured.model_id = binned.model_id
            and measured.variant = binned.variant
            and measured.mode = binned.mode
            and measured.game_date = binned.game_date
            and bins.bin_number = binned.bin_number
),

divergences as (
    select
        model_id,
        variant,
        mode,
        game_date,
        {{ population_stability_index('share', 'baseline_share') }} as psi
    from shares
    group by
        model_id,
        variant,
        mode,
        game_date
),

final as (
    select
        measured.*,
        baselines.mean as baseline_mean,
        baselines.stddev as baseline_stddev,
        (measured.mean - baselines.mean) / nullif(baselines.stddev, 0) as mean_shift,
        divergences.psi
    from measured
    left join baselines
        on measured.model_id = baselines.model_id
    left join divergences
        on
            measured.model_id = divergences.model_id
            and measured.variant = divergences.variant
            and measured.mode = divergences.mode
            and measured.game_date = divergences.game_date
)

select * from final
