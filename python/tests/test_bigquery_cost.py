"""What a build costs on BigQuery: the sums, with dry runs answered from a list."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bigquery_cost as cost
import pytest
from click.testing import CliRunner
from google.api_core.exceptions import NotFound

from nba_ml.settings import UserError

MIB = 2**20


@dataclass
class Answers:
    """Stands in for BigQuery: bytes by SQL, and what was asked."""

    bytes: dict[str, int]
    asked: list[str] = field(default_factory=list)

    def bytes_of(self, sql: str) -> int:
        self.asked.append(sql)
        if sql == "refused":
            raise UserError("No credentials")
        if sql not in self.bytes:
            raise UserError(f"{sql} is not built") from NotFound(sql)
        return self.bytes[sql]


def node(name: str, kind: str, code: str | None) -> dict[str, Any]:
    """As dbt writes it; without compiled code the key is not there."""
    is_test = kind == "test"
    compiled = {} if code is None else {"compiled_code": code}
    return {
        "name": name,
        "resource_type": "test" if is_test else "model",
        "config": {"materialized": kind},
        **compiled,
    }


NODES = [
    node("store", "table", "read 1 GiB"),
    node("events", "incremental", "read nothing"),
    node("staging", "view", "read 1 GiB"),
    node("small", "table", "read 1 MiB"),
    node("lost", "table", None),
    node("unique_store", "test", "read 20 MiB"),
    node("not_null_store", "test", "read 1 MiB"),
]
BYTES = {
    "read 1 GiB": 1024 * MIB,
    "read nothing": 0,
    "read 1 MiB": MIB,
    "read 20 MiB": 20 * MIB,
}


def test_bytes_by_model_and_views_not_twice() -> None:
    answers = Answers(BYTES)
    found = list(cost.scans(answers, NODES))
    assert {scan.name: scan.bytes for scan in found} == {
        "store": 1024 * MIB,
        "events": 0,
        "staging": 0,
        "small": MIB,
        "lost": None,
        "unique_store": 20 * MIB,
        "not_null_store": MIB,
    }
    assert answers.asked.count("read 1 GiB") == 1  # of the table, not of the view


def test_total_and_price() -> None:
    text = cost.report(list(cost.scans(Answers(BYTES), NODES)), price=1000)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["store"][:3] == ["store", "table", "1,073,741,824"]
    assert rows["staging"][:3] == ["staging", "view", "-"]
    assert rows["events"][:3] == ["events", "incremental", "0"]
    assert rows["lost"] == ["lost", "table", "-", "not", "compiled"]
    assert rows["2"] == ["2", "data", "tests", "test", "22,020,096"]
    # 1024 + 1 + 20 + 1 MiB
    assert rows["total"] == ["total", "1,096,810,496"]
    # 1024 + 10 + 20 + 10 MiB are billed, of 1,048,576 in a TiB: 1064 / 1048.576
    assert "At least 1.0147 USD at 1000 USD per TiB" in text
    assert "Prices change" in text
    assert "Too low: 1 queries are not known" in text
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert names.index("store") < names.index("small") < names.index("total")


def test_without_a_gap_nothing_is_said_of_one() -> None:
    known = [one for one in NODES if one["name"] != "lost"]
    assert "Too low" not in cost.report(list(cost.scans(Answers(BYTES), known)), 6.25)


def test_what_reads_an_unbuilt_table_is_not_known() -> None:
    nodes = [node("store", "table", "unbuilt"), node("unique", "test", "unbuilt")]
    found = list(cost.scans(Answers({}), nodes))
    assert [scan.bytes for scan in found] == [None, None]
    text = cost.report(found, 6.25)
    assert "reads what is not built yet" in text and "1 of them not known" in text
    assert "Too low: 2 queries" in text


def test_any_other_error_ends_it() -> None:
    with pytest.raises(UserError, match="No credentials"):
        list(cost.scans(Answers({}), [node("store", "table", "refused")]))


def manifest(folder: Path, engine: str) -> Path:
    """A manifest of the nodes above, and of what is no query of a build."""
    seed = {"name": "teams", "resource_type": "seed", "config": {}}
    nodes = {str(place): one for place, one in enumerate([*NODES, seed])}
    path = folder / "manifest.json"
    path.write_text(json.dumps({"metadata": {"adapter_type": engine}, "nodes": nodes}))
    return path


def test_models_and_tests_of_a_manifest_are_read(tmp_path: Path) -> None:
    assert cost.read_nodes(manifest(tmp_path, "bigquery")) == NODES


def test_a_manifest_that_does_not_fit_is_said_with_the_next_step(
    tmp_path: Path,
) -> None:
    done = CliRunner().invoke(cost.main, [str(tmp_path / "none.json")])
    assert done.exit_code == 1
    assert f"There is no manifest at {tmp_path / 'none.json'}." in done.output
    assert "Run: make bigquery-cost" in done.output
    done = CliRunner().invoke(cost.main, [str(manifest(tmp_path, "duckdb"))])
    assert done.exit_code == 1 and "compiled for duckdb" in done.output
    (tmp_path / "broken.json").write_text("{")
    done = CliRunner().invoke(cost.main, [str(tmp_path / "broken.json")])
    assert done.exit_code == 1 and "is no manifest" in done.output


def test_a_target_that_is_not_bigquery_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NBA_ML_TARGET", raising=False)
    done = CliRunner().invoke(cost.main, [str(manifest(tmp_path, "bigquery"))])
    assert done.exit_code == 1 and "The target is DuckDB" in done.output


def test_without_credentials_the_login_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_TARGET", "bigquery")
    monkeypatch.setenv("NBA_ML_BIGQUERY_PROJECT", "my-project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    done = CliRunner().invoke(cost.main, [str(manifest(tmp_path, "bigquery"))])
    assert done.exit_code == 1, done.output
    assert "gcloud auth application-default login" in done.output
