"""All SQL of the dbt project, compiled for BigQuery and put to Google's analyzer.

Nothing runs and no server is asked: what dbt wants to know of the warehouse is
answered from what the analyzer has seen so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

import pytest
from dbt.adapters.bigquery import BigQueryAdapter, BigQueryColumn, BigQueryRelation
from dbt.artifacts.schemas.run import RunResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ColumnInfo, SourceDefinition, UnitTestDefinition
from dbt.task.compile import CompileRunner
from dbt.task.test import TestRunner

from dbt_project import DbtProject
from google_analyzer import Analyzer, Rejected

AS_OF = "2025-04-13T12:00:00"
OFFLINE = ("--no-populate-cache", "--threads", "1", "--select")
MODELS = ("resource_type:model", "--exclude", "resource_type:test")
# those whose SQL may differ with the sources, or with what is built already
VARYING = ("source:*+1", "config.materialized:incremental", *MODELS[1:])
DATA_TESTS = ("resource_type:test",)
UNIT_TESTS = ("test_type:unit",)

# the type of a source's column, None when the column is not there
SourceTypes = Callable[[SourceDefinition, ColumnInfo], str | None]


def as_declared(source: SourceDefinition, column: ColumnInfo) -> str | None:
    """Every table and column of the sources' YAML."""
    return column.data_type


def as_raw(source: SourceDefinition, column: ColumnInfo) -> str | None:
    """The same in the types of raw tables: minutes as text, figures as decimals."""
    if column.name == "minutes_played":
        return "string"
    return "numeric(6, 2)" if column.data_type == "float64" else column.data_type


def required_columns(source: SourceDefinition, column: ColumnInfo) -> str | None:
    """Every table, with the columns that must be there."""
    return column.data_type if column.meta.get("required") else None


def required_tables(source: SourceDefinition, column: ColumnInfo) -> str | None:
    """The tables that must be there, with the columns that must be there."""
    return required_columns(source, column) if source.meta["required"] else None


@dataclass
class Analysis:
    """What the analyzer says about the nodes of the project, by unique id.

    A node that reads from a rejected one is neither accepted nor rejected.
    """

    manifest: Manifest
    analyzer: Analyzer = field(default_factory=Analyzer)
    code: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)

    def add(self, code: dict[str, str]) -> None:
        """Analyse compiled nodes, parents first; models become relations."""
        self.code |= code
        nodes = {**self.manifest.nodes, **self.manifest.unit_tests}
        parents = {name: nodes[name].depends_on_nodes for name in code}
        for name in TopologicalSorter(parents).static_order():
            waits = any(
                parent in self.code and parent not in self.accepted
                for parent in parents.get(name, ())
            )
            if name in code and not waits:
                self._analyse(name, code[name])

    def columns(self, name: str) -> dict[str, str]:
        """The columns of an accepted model, with their types."""
        return self.analyzer.columns(self.manifest.nodes[name].relation_name)

    def report(self) -> str:
        return "\n".join(f"{name}: {why}" for name, why in self.rejected.items())

    def _analyse(self, name: str, code: str) -> None:
        try:
            if name.startswith("model."):
                self.analyzer.add(self.manifest.nodes[name].relation_name, code)
            else:
                self.analyzer.check(f"select count(*) from ({code}\n) as rows_found")
            self.accepted.add(name)
        except Rejected as why:
            self.rejected[name] = str(why)


def analyse(
    project: DbtProject,
    types: SourceTypes,
    is_built: bool,
    before: Analysis | None = None,
) -> Analysis:
    """Compile and analyse the project over sources of some columns and types.

    is_built: every relation is there already, so that models are incremental.
    before: what was found over other sources. Then only the models that may differ
    are looked at; as long as they give the same columns, so do all others.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_TARGET", "bigquery_emulator")
        patch.setenv("NBA_ML_BIGQUERY_ENDPOINT", "http://127.0.0.1:9")  # nobody there
        result = Analysis(project.parsed())
        sources = result.manifest.sources.values()
        if before:
            relations = [source.relation_name for source in sources]
            result.analyzer = before.analyzer.without(*relations)
        for source in sources:
            found = {one.name: types(source, one) for one in source.columns.values()}
            columns = {name: type_ for name, type_ in found.items() if type_}
            if columns:
                result.analyzer.add_table(source.relation_name, columns)
        for seed in result.manifest.nodes.values():
            if seed.resource_type == "seed" and not before:
                columns = seed.config.column_types
                result.analyzer.add_table(seed.relation_name, columns)

        def columns_of(_: BigQueryAdapter, relation: Any) -> list[BigQueryColumn]:
            columns = result.analyzer.columns(str(relation))
            return [_column(name, type_) for name, type_ in columns.items()]

        def relation_of(
            _: BigQueryAdapter, database: str, schema: str, identifier: str
        ) -> BigQueryRelation | None:
            path = {"database": database, "schema": schema, "identifier": identifier}
            return BigQueryRelation.create(**path, type="table") if is_built else None

        patch.setattr(BigQueryAdapter, "get_columns_in_relation", columns_of)
        patch.setattr(BigQueryAdapter, "get_relation", relation_of)
        patch.setattr(TestRunner, "execute", _compile_unit_test)
        models = VARYING if before else MODELS
        result.add(project.compiled(AS_OF, "compile", *OFFLINE, *models))
        if not (before or result.rejected):
            result.add(project.compiled(AS_OF, "compile", *OFFLINE, *DATA_TESTS))
            result.add(project.compiled(AS_OF, "test", *OFFLINE, *UNIT_TESTS))
    return result


def _column(name: str, type_: str) -> BigQueryColumn:
    if type_.startswith("ARRAY<"):
        return BigQueryColumn(name, type_[len("ARRAY<") : -1], mode="REPEATED")
    return BigQueryColumn(name, type_)


def _compile_unit_test(
    runner: TestRunner, test: UnitTestDefinition, manifest: Manifest
) -> RunResult:
    """The first half of what dbt does with a unit test; the other half runs it."""
    its_own = runner.build_unit_test_manifest_from_test(test, manifest)
    node = runner.compiler.compile_node(its_own.nodes[test.unique_id], its_own, {})
    return CompileRunner.execute(runner, node, manifest)
