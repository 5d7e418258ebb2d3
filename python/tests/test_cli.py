"""The command line as a whole, and what the documents say of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nba_ml.cli import cli
from nba_ml.settings import PROJECT, UserError, clock

LIMIT = 3000
# modules that serve models; all others make them: docs/decisions/0013
SERVING = ("serving", "scoring", "lineup", "journal", "worker", "probe", "deployment")
SERVING += ("model_card", "cli_serving", "publishing", "prediction")
SERVING += ("backtest", "tuning", "report", "cli_monitoring")
SERVING += ("alerting", "retraining")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_is_a_sentence_and_a_line_to_paste(name: str) -> None:
    text = cli.commands[name].help or ""
    assert re.match(r"[A-Z][^.]*\.", text.replace("\n", " "))
    assert f"nba-ml {name}" in text


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_the_line_to_paste_parses(name: str) -> None:
    line = re.search(rf"nba-ml {name}.*", cli.commands[name].help or "")
    assert line
    arguments = line[0].split()[2:]
    context = cli.commands[name].make_context(name, list(arguments))
    assert isinstance(context, click.Context)


def test_documents_name_only_commands_that_exist() -> None:
    verbs = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.M))
    for page in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]:
        blocks = "\n".join(re.findall(r"```console\n(.*?)```", page.read_text(), re.S))
        for command in re.findall(r"^\$ nba-ml (\w+)", blocks, re.M):
            assert command in cli.commands, f"{page.name}: nba-ml {command}"
        for verb in re.findall(r"^\$ make (\w+)", blocks, re.M):
            assert verb in verbs, f"{page.name}: make {verb}"


def test_every_document_link_leads_somewhere() -> None:
    for page in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_help_is_quick_to_load() -> None:
    heavy = ["xgboost", "pandas", "duckdb", "pandera", "dbt"]
    code = f"import sys, nba_ml.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_clock_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBA_ML_AS_OF", "yesterday")
    with pytest.raises(UserError, match="'yesterday'.*2024-04-14T12:00:00"):
        clock()


def test_a_date_alone_is_its_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBA_ML_AS_OF", "2024-04-14")
    assert clock() == datetime(2024, 4, 14, 12)
    monkeypatch.setenv("NBA_ML_AS_OF", "2024-04-14T12:00:00Z")
    assert clock() == datetime(2024, 4, 14, 12)


def make(home: Path, clock: str, *arguments: str) -> str:
    """What make prints in an environment that holds little else."""
    environment = {"NBA_ML_HOME": str(home), "NBA_ML_AS_OF": clock}
    return subprocess.run(
        ["make", *arguments],
        cwd=PROJECT,
        env=environment | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("given", "expected"), [("", "2025-02-02T12:00:00"), ("2023-03-03", "2023-03-03")]
)
def test_make_takes_the_clock_of_data_that_were_just_imported(
    given: str, expected: str, tmp_path: Path
) -> None:
    clock_file = tmp_path / "raw" / "as_of"
    clock_file.parent.mkdir()
    clock_file.write_text("2024-01-01T12:00:00\n")
    extra = tmp_path / "extra.mk"
    extra.write_text(
        "show:\n\t@echo clock $$NBA_ML_AS_OF\n"
        f"import:\n\t@echo 2025-02-02T12:00:00 > {clock_file}\n"
        f"\t@$(MAKE) --no-print-directory -f Makefile -f {extra} show\n"
    )
    printed = make(tmp_path, given, "-f", "Makefile", "-f", str(extra), "import")
    assert f"clock {expected}\n" in printed


def test_make_builds_again_when_the_clock_changed(tmp_path: Path) -> None:
    (tmp_path / "built").write_text("2024-01-01T12:00:00\n")
    again = "dbt --quiet build"
    assert again not in make(tmp_path, "2024-01-01T12:00:00", "-n", "build")
    assert again in make(tmp_path, "2024-01-02T12:00:00", "-n", "build")
    assert again in make(tmp_path, "", "-n", "build"), "live data are built anew"


def test_make_takes_no_clock_of_files_for_another_target(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/as_of").write_text("2024-01-01T12:00:00\n")
    database = ["-pn", "build"]
    assert "NBA_ML_AS_OF := 2024-01-01" in make(tmp_path, "", *database)
    other = make(tmp_path, "", *database, "NBA_ML_TARGET=bigquery")
    assert "NBA_ML_AS_OF := 2024-01-01" not in other


def test_without_a_warehouse_every_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    for name in ("train", "predict", "status"):
        done = CliRunner().invoke(cli, [name])
        assert done.exit_code == 1, name
        assert "Run: make build" in done.output, name


def test_python_stays_thin() -> None:
    lines = {
        path.stem: sum(
            bool(line.strip()) and not line.strip().startswith("#")
            for line in path.read_text().splitlines()
        )
        for path in (PROJECT / "python/src").rglob("*.py")
    }
    serving = sum(lines.pop(name) for name in SERVING)
    assert sum(lines.values()) < LIMIT, "move numbers to SQL"
    assert serving < LIMIT, "a service has a limit, too: docs/decisions/0013"
