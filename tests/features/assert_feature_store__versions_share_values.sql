-- Rows where a feature that a version shares with the one before it, by name, is not
-- the same there, by a bit: an oracle that holds for the first then holds for both.
{%- set versions = feature_versions() %}
with

{% for version in versions -%}
stored_v{{ version }} as (
    select * from {{ ref('feature_store', v=version) }}
){{ "," if not loop.last }}

{% endfor -%}

{% for version in versions[1:] -%}
{%- set before = "stored_v" ~ versions[loop.index0] -%}
{%- set after = "stored_v" ~ version -%}
{%- set known = features_of(versions[loop.index0]) | map(attribute="name") | list -%}
select
    'v{{ version }}' as feature_version,
    {{ after }}.game_id,
    {{ after }}.player_lookup
from {{ after }}
inner join {{ before }}
    on
        {{ after }}.game_id = {{ before }}.game_id
        and {{ after }}.player_lookup = {{ before }}.player_lookup
where
    false
    {%- for feature in features_of(version) if feature.name in known %}
    or {{ after }}.{{ feature.name }}
    is distinct from {{ before }}.{{ feature.name }}
    {%- endfor %}
{{ "union all" if not loop.last }}
{% endfor %}
