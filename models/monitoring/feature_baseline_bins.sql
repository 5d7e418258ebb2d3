-- The distribution of each feature that a model was trained on, bin by bin.
with

numbers as (
    {% for number in range(10) -%}
    select {{ number }} as bin_number
    {{ "union all" if not loop.last }}
    {% endfor -%}
),

bins as (
    select
        baselines.model_id,
        baselines.feature_name,
        baselines.season_phase,
        numbers.bin_number,
        {{ array_item('baselines.bin_edges', 'numbers.bin_number - 1') }}
            as lower_edge,
        {{ array_item('baselines.bin_edges', 'numbers.bin_number') }} as upper_edge,
        {{ array_item('baselines.shares', 'numbers.bin_number') }} as share
    from {{ ref('feature_baselines') }} as baselines
    cross join numbers
),

-- repeated deciles leave fewer than ten
final as (
    select * from bins
    where share is not null
)

select * from final
