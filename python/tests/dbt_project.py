"""A copy of the dbt project that tests may build, and change, in this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.run import RunResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from nba_ml.settings import PROJECT

PARTS = ("models", "macros", "seeds", "tests", "profiles")
# the feature store, what it is made of, and what is learnt from it
STORE = "+training_set"


@dataclass
class DbtProject:
    """dbt on a copy of the project in `root`, imported and parsed once.

    A subprocess for each build would cost seconds of imports and parsing.
    """

    root: Path
    manifest: Manifest | None = field(default=None, repr=False)

    @classmethod
    def copy_to(cls, root: Path) -> DbtProject:
        for part in PARTS:
            shutil.copytree(PROJECT / part, root / part)
        shutil.copy(PROJECT / "dbt_project.yml", root)
        return cls(root)

    def build(
        self, home: Path, as_of: str, threads: int = 1, select: Sequence[str] = (STORE,)
    ) -> Path:
        """Build the feature store of `home` at a clock; return the warehouse."""
        chosen = ["--select", *select, "--threads", str(threads)]
        only_tables = ["--exclude-resource-types", "test", "unit_test"]
        states = self._invoke(home, as_of, "build", *chosen, *only_tables)
        failed = {name: state for name, state in states.items() if state != "success"}
        assert states and not failed, failed or select
        return home / "warehouse.duckdb"

    def failed_tests(self, home: Path, as_of: str, *select: str) -> set[str]:
        """Names of the selected data tests that find something."""
        states = self._invoke(home, as_of, "test", "--select", *select)
        assert set(states) == set(select), f"selected {select}, ran {list(states)}"
        assert set(states.values()) <= {"pass", "fail"}, states
        return {name for name, state in states.items() if state == "fail"}

    def compiled(self, as_of: str, command: str, *arguments: str) -> dict[str, str]:
        """SQL of the nodes that a dbt command compiles, by unique id."""
        results = self._results(self.root, as_of, command, *arguments)
        failed = {r.node.name: r.message for r in results if r.status != "success"}
        assert not failed, failed
        return {one.node.unique_id: one.node.compiled_code for one in results}

    def features(self, requires: str | None = None) -> list[str]:
        """The features that the YAML declares for each version, as v1.is_home.

        All of them, or those that need a source which may be absent.
        """
        return [
            f"v{node.version}.{column.name}"
            for node in self.parsed().nodes.values()
            if node.name == "feature_store"
            for column in node.columns.values()
            if (feature := column.config.meta.get("feature"))
            and requires in (None, feature.get("requires"))
        ]

    @contextmanager
    def planted(self, *changes: tuple[str, str, str]) -> Iterator[None]:
        """The project with (file, old text, new text) replaced; then as it was."""
        before: dict[Path, str] = {}
        parsed_before = self.manifest
        try:
            for name, old, new in changes:
                path = self.root / name
                text = path.read_text()
                before.setdefault(path, text)
                assert old in text, f"{name} does not hold: {old}"
                path.write_text(text.replace(old, new))
            self.manifest = None
            yield
        finally:
            for path, text in before.items():
                path.write_text(text)
            self.manifest = parsed_before

    def _invoke(self, home: Path, as_of: str, *command: str) -> dict[str, str]:
        """Run dbt; the state of each node by name, hooks left out."""
        return {
            result.node.name: str(result.status)
            for result in self._results(home, as_of, *command)
        }

    def _results(self, home: Path, as_of: str, *command: str) -> list[RunResult]:
        manifest = self.parsed()
        with _environment(NBA_ML_HOME=str(home), NBA_ML_AS_OF=as_of):
            done = dbtRunner(manifest).invoke(
                ["--quiet", *command, *self._folders(), "--no-write-json"]
            )
        # dbt keeps the file open for the next command, which may be ours
        DuckDBConnectionManager.close_all_connections()
        if done.exception:
            raise done.exception
        return [
            result
            for result in done.result.results
            if result.node.resource_type != "operation"
        ]

    def parsed(self) -> Manifest:
        if self.manifest is None:
            parsed = dbtRunner().invoke(
                ["--quiet", "parse", *self._folders(), "--no-write-json"]
            )
            assert parsed.success, parsed.exception
            self.manifest = parsed.result
        return self.manifest

    def _folders(self) -> list[str]:
        return [
            *("--project-dir", str(self.root)),
            *("--profiles-dir", str(self.root / "profiles")),
            *("--target-path", str(self.root / "target")),
            *("--log-path", str(self.root / "logs")),
        ]


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
