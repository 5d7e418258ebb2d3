"""One profile for dbt and Python: both read the same from profiles.yml."""

from __future__ import annotations

import contextvars
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from dbt.config.profile import Profile
from dbt.config.profile import read_profile as read_raw_profiles
from dbt.config.renderer import ProfileRenderer
from dbt.flags import set_from_args
from dbt_common.context import set_invocation_context

from nba_ml import settings, warehouse
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.warehouse import DuckDB

TARGETS = ("duckdb", "bigquery", "bigquery_emulator")
NEEDED = {
    "NBA_ML_BIGQUERY_PROJECT": "my-project",
    "NBA_ML_BIGQUERY_ENDPOINT": "http://127.0.0.1:9",
}
CHOSEN = {
    "NBA_ML_BIGQUERY_DATASET": "trial",
    "NBA_ML_BIGQUERY_LOCATION": "europe-west4",
    "NBA_ML_BIGQUERY_MAX_BYTES": "123456789012",
    "NBA_ML_BIGQUERY_TIMEOUT": "77",
    "NBA_ML_BIGQUERY_RETRY_SECONDS": "5",
}

OTHERS = ("NBA_ML_TARGET", "NBA_ML_MODEL_STORE", "DBT_PROFILES_DIR")


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a target cannot do without; a test may add to it."""
    for name in [*CHOSEN, *OTHERS]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def as_dbt_reads_it(target: str | None) -> tuple[str, dict[str, Any]]:
    """Name and settings of a target by dbt's own code; None is dbt's choice."""

    def render() -> tuple[str, dict[str, Any]]:
        set_from_args(Namespace(), None)
        set_invocation_context(dict(os.environ))
        raw = read_raw_profiles(str(PROJECT / "profiles"))["nba_ml"]
        return Profile.render_profile(raw, "nba_ml", target, ProfileRenderer({}))

    return contextvars.copy_context().run(render)


@pytest.mark.parametrize("given", [{}, CHOSEN], ids=["defaults", "chosen"])
@pytest.mark.parametrize("target", TARGETS)
def test_python_reads_what_dbt_reads(
    target: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    name, expected = as_dbt_reads_it(target)
    found = settings.read_profile(target)
    assert name == target and found == expected
    # 60 == 60.0, and True == 1
    assert {k: type(v) for k, v in found.items()} == {
        k: type(v) for k, v in expected.items()
    }


def test_all_targets_are_compared() -> None:
    profiles = yaml.safe_load((PROJECT / "profiles/profiles.yml").read_text())
    assert tuple(profiles["nba_ml"]["outputs"]) == TARGETS


def test_variables_reach_the_profile_and_integers_are_integers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in CHOSEN.items():
        monkeypatch.setenv(name, value)
    found = settings.read_profile("bigquery")
    assert found["project"] == "my-project" and found["dataset"] == "trial"
    assert found["location"] == "europe-west4"
    assert found["maximum_bytes_billed"] == 123_456_789_012
    assert found["job_execution_timeout_seconds"] == 77
    assert found["job_retry_deadline_seconds"] == 5
    assert all(type(found[name]) is int for name in ("threads", "job_retries"))


@pytest.mark.parametrize(
    ("target", "variable"),
    [
        ("bigquery", "NBA_ML_BIGQUERY_PROJECT"),
        ("bigquery_emulator", "NBA_ML_BIGQUERY_ENDPOINT"),
    ],
)
def test_a_variable_that_is_not_set_is_named(
    target: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    done = CliRunner().invoke(cli, ["status", "--target", target])
    assert done.exit_code == 1
    assert f"Target {target} needs {variable}. Set it: docs/bigquery.md" in done.output
    # the other targets do without it
    assert settings.read_profile("duckdb")["type"] == "duckdb"


def test_an_unknown_target_lists_those_that_there_are() -> None:
    with pytest.raises(UserError, match="no target 'bigqery'") as error:
        settings.read_profile("bigqery")
    assert f"It has: {', '.join(TARGETS)}." in error.value.message
    done = CliRunner().invoke(cli, ["status", "--target", "bigqery"])
    assert done.exit_code == 1 and "It has: duckdb, bigquery" in done.output


def test_target_is_the_option_else_the_variable_else_duckdb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings.home() == Home(tmp_path, None)
    assert settings.home().profile["type"] == as_dbt_reads_it(None)[1]["type"]
    monkeypatch.setenv("NBA_ML_TARGET", "bigquery")
    assert settings.home() == Home(tmp_path, "bigquery")
    assert (settings.home().target, settings.home().profile) == as_dbt_reads_it(None)
    assert settings.home("duckdb") == Home(tmp_path, "duckdb")
    assert settings.home("duckdb").profile["type"] == "duckdb"


@pytest.mark.parametrize("target", [None, "duckdb"])
def test_dbt_and_python_open_the_same_duckdb_file(target: str | None) -> None:
    found = warehouse.connect(settings.home(target))
    assert isinstance(found, DuckDB)
    assert str(found.path) == as_dbt_reads_it(target)[1]["path"]


def test_profiles_of_another_folder_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DBT_PROFILES_DIR is dbt's own variable."""
    text = (PROJECT / "profiles/profiles.yml").read_text()
    text = text.replace("    duckdb:\n", "    mine:\n", 1)
    (tmp_path / "profiles.yml").write_text(text)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    assert settings.read_profile("mine")["type"] == "duckdb"
    with pytest.raises(UserError, match="It has: mine, bigquery") as error:
        settings.read_profile("duckdb")
    assert str(tmp_path / "profiles.yml") in error.value.message


def test_text_that_looks_like_a_number_stays_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NBA_ML_BIGQUERY_DATASET", "2024_01")
    assert settings.read_profile("bigquery")["dataset"] == "2024_01"
    assert as_dbt_reads_it("bigquery")[1]["dataset"] == "2024_01"


def test_an_empty_target_is_duckdb_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBA_ML_TARGET", "")
    assert as_dbt_reads_it(None)[0] == "duckdb"
    assert settings.home().profile["type"] == "duckdb"


@pytest.mark.parametrize("content", [None, "other: {target: x}"])
def test_another_folder_of_profiles_is_named(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    if content:
        (tmp_path / "profiles.yml").write_text(content)
    with pytest.raises(UserError, match=r"profiles.yml has no target 'bigquery'"):
        settings.read_profile("bigquery")
