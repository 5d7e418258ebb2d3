"""A machine that cannot start the BigQuery emulator hears so at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import bigquery_emulator
from nba_ml.settings import PROJECT

INTERPRETER = PROJECT / "python/emulator/interpreter"


def found(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the script says on a machine whose only programs are in `tmp_path`."""
    return subprocess.run(
        ["/bin/sh", INTERPRETER],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
    )


def test_without_an_interpreter_it_says_how_to_get_one(tmp_path: Path) -> None:
    started = time.monotonic()
    done = found(tmp_path)
    assert time.monotonic() - started < 5
    assert done.returncode == 1 and done.stdout == ""
    assert "needs a Python of 3.13 or newer" in done.stderr
    assert "pyenv install 3.13" in done.stderr and "EMULATOR_PYTHON=" in done.stderr


def test_make_test_ends_there_before_anything_else(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-n", "test"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    rule = (PROJECT / "Makefile").read_text().split("\ntest: ")[1].split("##")[0]
    assert rule.split()[0] == "emulator" and done.stdout


def test_an_interpreter_under_pyenv_is_found(tmp_path: Path) -> None:
    for version, code in (("3.12.9", 1), ("3.13.1", 0)):
        python = tmp_path / f"pyenv/versions/{version}/bin/python3"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\nexit {code}\n")
        python.chmod(0o755)
    done = found(tmp_path, PYENV_ROOT=str(tmp_path / "pyenv"))
    assert done.stdout.strip() == str(python) and done.returncode == 0


@pytest.mark.parametrize("given", ["/no/such/python", "python3.11"])
def test_a_named_interpreter_that_does_not_do_is_refused(
    given: str, tmp_path: Path
) -> None:
    (tmp_path / "python3.11").symlink_to(sys.executable)
    done = found(tmp_path, EMULATOR_PYTHON=given)
    assert done.returncode == 1 and f"EMULATOR_PYTHON is {given}" in done.stderr


def test_an_environment_that_is_missing_or_broken_fails_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_emulator, "ENVIRONMENT", tmp_path)
    with (
        pytest.raises(AssertionError, match="make emulator"),
        bigquery_emulator.emulator(tmp_path),
    ):
        pass
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no module named duckdb\nexit 1\n")
    python.chmod(0o755)
    with (
        pytest.raises(AssertionError, match="no module named duckdb[^$]*make emulator"),
        bigquery_emulator.emulator(tmp_path),
    ):
        pass
