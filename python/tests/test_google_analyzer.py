"""Google's own analyzer accepts all SQL of the project, as BigQuery would, and refuses
what an emulator on another engine lets pass."""

from __future__ import annotations

import pytest

import bigquery_analysis
from bigquery_analysis import Analysis, SourceTypes
from dbt_project import DbtProject
from google_analyzer import Analyzer, Rejected

SCHEDULE = "model.nba_ml.stg_game_schedule"
EVENTS = "model.nba_ml.model_events"
FINAL = "select * from final"


def test_every_node_is_accepted(analysis: Analysis) -> None:
    assert not analysis.rejected, analysis.report()
    nodes = {
        name
        for name, node in analysis.manifest.nodes.items()
        if node.resource_type not in ("seed", "operation")
    } | set(analysis.manifest.unit_tests)
    assert analysis.accepted == nodes
    assert {name.split(".")[0] for name in nodes} == {"model", "test", "unit_test"}


@pytest.mark.parametrize(
    ("types", "is_built"),
    [
        (bigquery_analysis.as_raw, False),
        (bigquery_analysis.required_columns, True),
        (bigquery_analysis.required_tables, False),
    ],
)
def test_other_sources_give_the_same_columns(
    bigquery_project: DbtProject, analysis: Analysis, types: SourceTypes, is_built: bool
) -> None:
    other = bigquery_analysis.analyse(
        bigquery_project, types, is_built, before=analysis
    )
    assert not other.rejected, other.report()
    nodes = analysis.manifest.nodes
    readers = {
        name
        for name in analysis.code
        if name in nodes and any(nodes[name].sources) and name.startswith("model.")
    }
    assert readers and readers <= other.accepted
    for name in other.accepted:
        assert other.columns(name) == analysis.columns(name), name


def test_columns_are_those_of_the_contracts(analysis: Analysis) -> None:
    bound = {
        name: {column.name: column.data_type for column in node.columns.values()}
        for name, node in analysis.manifest.nodes.items()
        if node.resource_type == "model" and node.contract.enforced
    }
    assert {EVENTS, "model.nba_ml.feature_store.v1"} <= bound.keys()
    declared = Analyzer()
    for name, columns in bound.items():
        assert analysis.columns(name) == declared.add_table(name, columns), name


def test_freshness_of_the_sources(analysis: Analysis) -> None:
    sources = [s for s in analysis.manifest.sources.values() if s.loaded_at_field]
    assert sources
    for source in sources:
        # as dbt asks for it
        analysis.analyzer.check(
            f"select max({source.loaded_at_field}) as max_loaded_at,"
            f" current_timestamp() as snapshotted_at from {source.relation_name}"
        )


NOT_OF_BIGQUERY = {
    "ilike": "game_id ilike '%BOS%'",
    "try_cast": "try_cast(game_id as int64)",
    "double colon": "season_year::string",
    "float": "cast(season_year as float)",
    "double": "cast(season_year as double)",
    "varchar": "cast(season_year as varchar)",
    "int32": "cast(season_year as int32)",
    "list_value": "list_value(game_id)",
    "epoch": "epoch(tip_off_at)",
    "len": "len(game_id)",
    "strftime": "strftime(game_date, '%Y')",
    "regexp_matches": "regexp_matches(game_id, '^2')",
    "datediff": "date_diff('day', game_date, game_date)",
    "modulo": "season_year % 2",
    "whole division": "season_year // 2",
    "datetime and timestamp": "cast(game_date as datetime) < tip_off_at",
    "days as a number": "(game_date - date '2020-01-01') > 5",
    "text and number": "game_id > season_year",
    "string_agg of numbers": "string_agg(season_year) over ()",
    "filter": "count(*) filter (where season_year > 0) over ()",
    "distinct in a frame": "count(distinct game_id) over (order by season_year)",
    "range of dates": (
        "count(*) over (order by game_date"
        " range between interval 5 day preceding and current row)"
    ),
    "range over text": (
        "count(*) over (order by game_id range between 5 preceding and 1 preceding)"
    ),
    "partition by float": ("count(*) over (partition by cast(season_year as float64))"),
    "equal arrays": "[game_id] = [game_id]",
    "unknown column": "tip_off",
}
NOT_STATEMENTS_OF_BIGQUERY = {
    "exclude": "select * exclude (season_type) from final",
    "from first": "from final",
    "distinct on": "select distinct on (game_id) * from final",
    "order by all": "select * from final order by all",
    "group by all after having": (
        "select season_year from final having count(*) > 1 group by all"
    ),
    "column not grouped": (
        "select game_id, count(*) as n from final group by season_year"
    ),
    # of the alias, not of the column
    "sum of a sum": (
        "select sum(season_year) as season_year from final having sum(season_year) > 0"
    ),
    "column without a name": "select count(*) from final",
    "two columns of a name": "select game_id, season_type as game_id from final",
    "unequal union": "select game_id from final union all select game_date from final",
    "union of all": "select game_id from final union select game_id from final",
    "unknown table": "select * from local.nba_ml.nothing",
}


def plant(analysis: Analysis, old: str, new: str) -> dict[str, str]:
    """What is rejected when the schedule's compiled SQL is changed."""
    code = analysis.code[SCHEDULE]
    assert code.count(old) == 1
    changed = Analysis(analysis.manifest, analysis.analyzer.without())
    changed.add({SCHEDULE: code.replace(old, new)})
    return changed.rejected


def plant_column(analysis: Analysis, expression: str) -> dict[str, str]:
    return plant(analysis, " schedule_source,", f" {expression} as schedule_source,")


@pytest.mark.parametrize("name", NOT_OF_BIGQUERY)
def test_expression_of_another_engine_is_rejected(
    analysis: Analysis, name: str
) -> None:
    rejected = plant_column(analysis, NOT_OF_BIGQUERY[name])
    assert rejected.keys() == {SCHEDULE}
    line = analysis.code[SCHEDULE].split(" schedule_source,")[0].count("\n") + 1
    assert f"[at {line}:" in rejected[SCHEDULE]


@pytest.mark.parametrize("name", NOT_STATEMENTS_OF_BIGQUERY)
def test_statement_of_another_engine_is_rejected(analysis: Analysis, name: str) -> None:
    assert plant(analysis, FINAL, NOT_STATEMENTS_OF_BIGQUERY[name]).keys() == {SCHEDULE}


@pytest.mark.parametrize(
    "expression",
    [
        "safe_cast(game_id as int64)",
        "cast(season_year as integer)",
        "timestamp(game_date) < tip_off_at",
        "string_agg(game_id, ',') over ()",
        "count(distinct game_id) over (partition by season_year)",
        "sum(1) over (order by season_year range between 5 preceding and 1 preceding)",
    ],
)
def test_expression_of_bigquery_is_accepted(
    analysis: Analysis, expression: str
) -> None:
    """The planted ones are rejected for what they are, not for where they stand."""
    assert not plant_column(analysis, expression)


def test_statement_of_bigquery_is_accepted(analysis: Analysis) -> None:
    assert not plant(analysis, FINAL, "select * except (season_type) from final")
    assert not plant(
        analysis,
        FINAL,
        "select game_id, count(*) as n from final group by all having count(*) > 1",
    )


def test_both_branches_of_incremental_models_are_read(
    bigquery_project: DbtProject, analysis: Analysis
) -> None:
    """From the model's file on: what is planted in a branch is found in it."""
    branches = "{% if is_incremental() %} ilike {% else %} try_cast {% endif %}"
    with bigquery_project.planted(
        ("models/registry/model_events.sql", "where 1 = 0", f"where {branches}"),
    ):
        for is_built, planted in ((True, "ilike"), (False, "try_cast")):
            found = bigquery_analysis.analyse(
                bigquery_project,
                bigquery_analysis.as_declared,
                is_built,
                before=analysis,
            )
            assert found.rejected.keys() == {EVENTS}
            assert f"name: {planted}" in found.rejected[EVENTS]


INSERT = (
    "insert into `local.nba_ml.model_events` (event_id, feature_list) values (?, ?)"
)


def test_parameters_have_types(analysis: Analysis) -> None:
    check = analysis.analyzer.check
    check(INSERT, ["string", "array<string>"])
    check(
        "delete from `local`.`nba_ml`.`model_events` where event_at < ?", ["timestamp"]
    )
    for types in (["string", "array<int64>"], ["string"], ["string", "string[]"]):
        with pytest.raises(Rejected):
            check(INSERT, types)
    with pytest.raises(Rejected, match=r"\[at 1:\d+\]"):
        check(
            "delete from `local.nba_ml.model_events` where event_at < ?", ["datetime"]
        )
