{#- The clock of this run, UTC: var as_of, else NBA_ML_AS_OF, else the start of
    the run. Nothing else in this project reads the time. -#}
{% macro as_of() -%}
    cast('{{ as_of_moment().strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}

{#- The league-local date of the clock: games on it or later have no outcome yet. -#}
{% macro as_of_date() -%}
    {%- set eastern = modules.pytz.timezone("America/New_York") -%}
    cast('{{ as_of_moment().astimezone(eastern).strftime("%Y-%m-%d") }}' as date)
{%- endmacro %}

{% macro as_of_moment() %}
    {%- set text = var("as_of", "") or env_var("NBA_ML_AS_OF", "") -%}
    {%- if not text -%}{{ return(run_started_at) }}{%- endif -%}
    {%- set text = text | string | replace("Z", "") -%}
    {%- set pattern = "^\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2})?)?$" -%}
    {%- if not modules.re.match(pattern, text) -%}
        {{ exceptions.raise_compiler_error(
            "as_of is '" ~ text ~ "', which is no timestamp. "
            ~ "Write it like 2024-04-14T12:00:00 (UTC), or leave it empty for now."
        ) }}
    {%- endif -%}
    {#- a date alone is its noon: its games are still to come -#}
    {%- set naive = modules.datetime.datetime.fromisoformat(
        text ~ "T12:00:00" if text | length == 10 else text
    ) -%}
    {{ return(modules.pytz.utc.localize(naive)) }}
{% endmacro %}

{#- When this run started, UTC, as a timestamp: for the record, never for a feature. -#}
{% macro run_started() -%}
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}
