"""Benchmarks: what the tables cost beside what one would use instead of them.

Each comparison is made within one run, alternately: its ratio holds on other
machines, its seconds do not. Nothing here passes or fails.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

import measure
import reading
import serving
from measure import BIN, Build, Ran
from nba_ml.settings import PROJECT, Home

CORES = 2
STORE = "+feature_store_v1"
WATCHED = "path:models/monitoring"
REPLAY = str(PROJECT / "python/replay.py")
DRIFT = str(Path(__file__).with_name("pandas_drift.py"))
PANDAS = str(Path(__file__).with_name("pandas_features.py"))


@dataclass(frozen=True)
class Line:
    """One measurement; `ratio` is how many times as long as the line with 1 it takes,
    or, where data grow, as the line before.
    """

    what: str
    rows: int
    seconds: float
    ratio: float | None = None
    peak_mb: float | None = None
    limit: str = ""


@dataclass(frozen=True)
class Result:
    title: str
    lines: list[Line]
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """Where, on which data and how often: state folders are made when first asked."""

    folder: Path
    data: Path | None
    seasons: int
    runs: int

    @property
    def population(self) -> str:
        return "given data" if self.data else f"simulated, {self.seasons} seasons"

    def given(self) -> Home:
        if not self.data:
            return self.simulated(1)
        return self._home("given", "import", str(self.data), "--frozen-clock")

    def simulated(self, scale: int) -> Home:
        size = ["--seasons", str(self.seasons), "--scale", str(scale)]
        return self._home(f"simulated-{scale}", "simulate", *size)

    def _home(self, name: str, *command: str) -> Home:
        home = Home(self.folder / name)
        if not home.raw.exists():
            measure.run([str(BIN / "nba-ml"), *command], home, self.folder)
        return home

    def reading(self) -> Result:
        home = self.given()
        project = measure.copy_project(self.folder)
        measure.build(home, project, STORE, "+training_set")
        rows, seconds = _in_child(reading.ways, home, measure.as_of(home), self.runs)
        (name, ours), *others = seconds.items()
        lines = [Line(name, rows, ours, 1, limit="0.2 s for 80,000 rows")]
        lines += [Line(way, rows, time, time / ours) for way, time in others]
        return Result(f"Training set into a typed frame ({self.population})", lines)

    def building(self) -> Result:
        home, target = self.given(), self.folder / "features.parquet"
        project = measure.copy_project(self.folder)
        script = [sys.executable, PANDAS, str(home.raw), str(measure.as_of(home))]
        script.append(str(target))
        # once before the clock: dbt has parsed, files are in memory, values agree
        measure.build(home, project, STORE)
        measure.run(script, home, project)
        note = _in_child(reading.differences, home, target)
        builds: list[Build] = []
        scripts: list[Ran] = []
        for _ in range(self.runs):
            builds.append(measure.build(home, project, STORE))
            scripts.append(measure.run(script, home, project))
        rows = measure.box_scores(home)
        sql = median(one.sql for one in builds)
        added_up = median(one.added_up for one in builds)
        pandas = median(float(one.output) for one in scripts)
        ours, peak = _medians([one.process for one in builds])
        theirs, their_peak = _medians(scripts)
        limit = "10 s for 280,000 rows"
        lines = [
            Line("dbt, first model to last", rows, sql, 1, limit=limit),
            Line("dbt, models added up", rows, added_up),
            Line("pandas, features and file", rows, pandas, pandas / sql),
            Line("dbt, whole process", rows, ours, 1, peak),
            Line("pandas, whole process", rows, theirs, theirs / ours, their_peak),
        ]
        return Result(f"feature_store_v1 from raw ({self.population})", lines, note)

    def growth(self) -> Result:
        homes = {scale: self.simulated(scale) for scale in (1, 4, 16)}
        project = measure.copy_project(self.folder)
        builds: dict[int, list[Build]] = {scale: [] for scale in homes}
        for _ in range(self.runs):
            for scale, home in homes.items():
                builds[scale].append(measure.build(home, project, STORE))
        seconds = {scale: median(b.sql for b in builds[scale]) for scale in homes}
        lines = []
        for scale, home in homes.items():
            rows = measure.box_scores(home)
            _, peak = _medians([one.process for one in builds[scale]])
            factor = seconds[scale] / seconds[scale // 4] if scale > 1 else None
            limit = "4x the step before, 4,096 MB" if factor else ""
            line = Line(f"{scale}x", rows, seconds[scale], factor, peak, limit)
            lines.append(line)
        exponent = math.log(seconds[16] / seconds[1]) / math.log(16)
        note = f"Seconds grow with rows to the power of {exponent:.2f}; limit 1."
        title = (
            f"SQL of feature_store_v1 as data grow ({self.seasons} seasons a league)"
        )
        return Result(title, lines, note)

    def job(self) -> Result:
        firsts, seconds = [], []
        for number in range(self.runs):
            home = Home(self.folder / f"job-{number}")
            project = measure.copy_project(self.folder)
            firsts.append(measure.run(["make", "run"], home, project))
            seconds.append(measure.run(["make", "run"], home, project))
        rows = measure.box_scores(home)
        (first, peak), (again, peak_again) = _medians(firsts), _medians(seconds)
        lines = [
            Line("first run", rows, first, 1, peak, "90 s"),
            Line("second run, nothing changed", rows, again, again / first, peak_again),
        ]
        return Result("make run without installation (simulated, 3 seasons)", lines)

    def monitoring(self) -> Result:
        home = self.given()
        project = measure.copy_project(self.folder)
        measure.build(home, project, "fqn:*")
        measure.run([sys.executable, REPLAY], home, project)
        script = [sys.executable, DRIFT, str(home.warehouse)]
        builds: list[Build] = []
        scripts: list[Ran] = []
        for _ in range(self.runs):
            builds.append(measure.rebuild(home, project, WATCHED))
            scripts.append(measure.run(script, home, project))
        rows = _in_child(reading.count, home, "prediction_log")
        sql = median(one.sql for one in builds)
        pandas = median(float(one.output) for one in scripts)
        added_up = median(one.added_up for one in builds)
        lines = [
            Line(
                "all models, first to last", rows, sql, 1, limit="5 s for 25,000 rows"
            ),
            Line("models added up", rows, added_up),
            Line("pandas, weekly drift alone", rows, pandas, pandas / sql),
        ]
        about = f"a replayed season, {self.population}"
        return Result(f"Monitoring of predictions ({about})", lines)

    def serving(self) -> Result:
        home = self.given()
        project = measure.copy_project(self.folder)
        measure.build(home, project, "fqn:*")
        measure.run([str(BIN / "nba-ml"), "train", "--json"], home, project)
        features = _in_child(serving.prepare, home)
        found = {kind: serving.measure(home, kind, _in_child) for kind in serving.KINDS}
        ours, unlogged, plain = found.values()
        half, slow, ready = ours["half"], ours["slow"], ours["ready"]
        other = plain["ready"]
        lines = [
            Line("200 a second, half within", 1, half, 1, ours["peak"], "0.003 s"),
            Line("99 % within", 1, ours["most"], limit="0.015 s"),
            Line("unlogged, half", 1, unlogged["half"], unlogged["half"] / half),
            Line(
                "unlogged, 99 %", 1, unlogged["most"], unlogged["most"] / ours["most"]
            ),
            Line("20 a second, half within", 1, slow, 1),
            Line("plain, half", 1, plain["slow"], plain["slow"] / slow, plain["peak"]),
            Line("slate, half within", serving.PLAYERS, ours["slate"], limit="0.025 s"),
            Line("start until ready", 1, ready, 1, limit="3 s, 400 MB"),
            Line("plain, until ready", 1, other, other / ready),
        ]
        rates = [f"{name} {one['rate']:,.0f}" for name, one in found.items()]
        flush = serving.flush(self.folder) * 1000
        note = (
            f"Requests a second, 99 % within 50 ms, at most: {', '.join(rates)}. "
            f"Half of the flushes of this disk alone: within {flush:.1f} ms. "
            f"Failed of 4,000 requests: {ours['failed']:.0f}."
        )
        about = f"{features} features, {serving.PLAYERS} players, {self.population}"
        return Result(f"Worker over HTTP ({about})", lines, note)


SECTIONS = ("reading", "building", "growth", "job", "monitoring", "serving")


@click.command()
@click.argument("sections", nargs=-1, type=click.Choice(SECTIONS))
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seasons", default=3, show_default=True, type=click.IntRange(2, 20))
@click.option(
    "--data",
    envvar="NBA_ML_BENCH_DATA",
    type=click.Path(exists=True, path_type=Path, resolve_path=True),
    help="Files for reading and building.  [simulated]",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def main(
    sections: list[str], runs: int, seasons: int, data: Path | None, json_: bool
) -> None:
    """Measure all SECTIONS or some: medians of alternating runs on two cores.

    Example:

    \b
        make bench DATA=exports/
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    about = {name: version(name) for name in ("duckdb", "dbt-core", "pandas")}
    about |= {"runs": str(runs), "cores": f"{CORES} of {os.cpu_count()}"}
    about["load average"] = f"{os.getloadavg()[0]:.1f}"
    if not json_:
        click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="nba-ml-bench-") as folder:
        bench = Bench(Path(folder), data, seasons, runs)
        for name in sections or SECTIONS:
            with Console(stderr=True).status(f"Measuring {name}"):
                result: Result = getattr(bench, name)()
            results[name] = asdict(result)
            if not json_:
                _print(result)
    if json_:
        click.echo(json.dumps({"about": about, "results": results}, indent=2))


def _print(result: Result) -> None:
    table = Table(title=result.title, title_justify="left", box=SIMPLE)
    table.add_column("")
    for name in ("rows", "seconds", "ratio", "peak MB"):
        table.add_column(name, justify="right")
    table.add_column("limit of the plan")
    for line in result.lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        peak = "" if line.peak_mb is None else f"{line.peak_mb:,.0f}"
        seconds = f"{line.seconds:.{2 if line.seconds >= 0.1 else 4}f}"
        table.add_row(line.what, f"{line.rows:,}", seconds, ratio, peak, line.limit)
    console = Console(width=100, highlight=False)
    console.print(table, end="")
    console.print(result.note, end="\n" if result.note else "")


def _medians(ran: list[Ran]) -> tuple[float, float]:
    return median(one.seconds for one in ran), median(one.peak_mb for one in ran)


def _in_child(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    main()
