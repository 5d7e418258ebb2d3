"""Seconds and peak memory of child processes, on a copy of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pyarrow import parquet

from nba_ml.settings import PROJECT, Home

FOLDERS = ("models", "macros", "seeds", "tests", "profiles")
FILES = ("Makefile", "dbt_project.yml", "pyproject.toml", "requirements.lock")
# what a surrounding make or shell would hand on
FOREIGN = ("NBA_ML_", "DBT_", "MAKE", "MFLAGS", "DATA")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ran:
    """One child process; `output` is its last line."""

    seconds: float
    peak_mb: float
    output: str


@dataclass(frozen=True)
class Build:
    """One build of the store; `sql` from the first model to the end of the last."""

    sql: float
    added_up: float
    process: Ran


def copy_project(folder: Path) -> Path:
    """The project as a fresh clone has it, with the environment that runs this."""
    copy = Path(tempfile.mkdtemp(prefix="project-", dir=folder))
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, copy / name)
    for name in FILES:
        shutil.copyfile(PROJECT / name, copy / name)
        os.utime(copy / name, (0, 0))  # older than the environment: no installation
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


def run(command: list[str], home: Home, project: Path) -> Ran:
    """Run to the end on `home`; stop with its last lines when it fails.

    The peak is that of the largest process. Linux counts what the parent held
    when it started the child, so the parent loads no data.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    kept |= {"NBA_ML_HOME": str(home.root), "DBT_PROFILES_DIR": "profiles"}
    kept |= {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    if command[0] != "make" and home.raw.exists():
        kept["NBA_ML_AS_OF"] = (home.raw / "as_of").read_text().strip()
    with tempfile.TemporaryFile("w+") as out:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=project, env=kept, stdout=out, stderr=out)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = out.read().splitlines() or [""]
    if child.returncode:
        last = "\n".join(lines[-20:])
        raise SystemExit(f"{' '.join(command)} failed:\n{last}")
    units = 2**20 if sys.platform == "darwin" else 2**10
    return Ran(seconds, usage.ru_maxrss / units, lines[-1])


def build(home: Home, project: Path, *select: str) -> Build:
    """`dbt run` into a new warehouse; its seeds are there before the clock starts."""
    seeded = home.root / "seeded.duckdb"
    if not seeded.exists():
        run([str(BIN / "dbt"), "--quiet", "seed"], home, project)
        home.warehouse.rename(seeded)
    shutil.copyfile(seeded, home.warehouse)
    return rebuild(home, project, *select)


def rebuild(home: Home, project: Path, *select: str) -> Build:
    """`dbt run` in the warehouse that is there."""
    command = [str(BIN / "dbt"), "--quiet", "run", "--select", *select]
    done = run(command, home, project)
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    steps = [step for result in results for step in result["timing"]]
    steps = [step for step in steps if step["name"] == "execute"]
    starts, ends = (
        [datetime.fromisoformat(step[edge]).timestamp() for step in steps]
        for edge in ("started_at", "completed_at")
    )
    return Build(max(ends) - min(starts), sum(ends) - sum(starts), done)


def as_of(home: Home) -> date:
    return date.fromisoformat((home.raw / "as_of").read_text()[:10])


def box_scores(home: Home) -> int:
    file = parquet.ParquetFile(home.raw / "player_game_summary.parquet")
    return file.metadata.num_rows
