"""The report says what the tables say, in a page that a person can read anywhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from playwright.sync_api import Browser

import small_warehouse
from browser import Look, browser, look
from nba_ml import registry, report, spool
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.training import Trained
from nba_ml.warehouse import DuckDB

MODEL, CHALLENGER = "xgboost_v1.0.0", "xgboost_v1.1.0"
HOSTILE = "<script>console.log('run')</script><img src=http://evil/x.png>\"'&amp;"
SECTIONS = [
    *("model", "accuracy", "calibration", "tiers", "drift", "alerts", "experiment"),
    *("slate", "quality", "backtests", "latency"),
]
BASELINES = ("rule", "last_5", "last_10", "season_average")
CHARTS_WHEN_FULL = 24
DAYS = pd.date_range("2024-03-10", periods=20)


def accuracy(count: int) -> dict[str, object]:
    """The columns that every measured accuracy has."""
    generator = np.random.default_rng(count)
    maes = {f"{name}_mae": 4.7 + generator.random(count) / 2 for name in BASELINES}
    best = np.min(list(maes.values()), axis=0)
    return {
        "n": 1234,
        "mae": best - 0.1,
        "bias": generator.normal(-0.5, 0.2, count),
        **maes,
        "best_baseline_mae": best,
        "interval_coverage": 0.79 + generator.random(count) / 20,
    }


def tables() -> dict[str, pd.DataFrame]:
    """Plausible rows of what is measured; the names of things are hostile."""
    keys = {"model_id": MODEL, "variant": "production"}
    populations = ["all", "pregame_minutes_15_plus"]
    populations += [f"tier_{name}" for name in ("bench", "role", "starter", "star")]
    cases = [(e, p) for e in ("live", "replay", "test") for p in populations]
    weeks = pd.date_range("2024-01-01", periods=8, freq="7D")
    weekly = [(m, p, w) for m in ("live", "replay") for p in populations for w in weeks]
    drift = [(f, w) for f in (HOSTILE, "points_avg_last_5", "noise") for w in weeks]
    share = np.linspace(0, 1.5, len(drift))
    folds = ["all", "2024-01", "2024-02", "2024-03"]
    return {
        "model_performance_overall": pd.DataFrame(
            cases, columns=["evidence", "population"]
        ).assign(
            **keys, **accuracy(len(cases)), precedence=1, share_within_5=0.64,
            mae_low=4.4, mae_high=4.8, first_date=DAYS[0], last_date=DAYS[-1],
        ),
        "model_performance_weekly": pd.DataFrame(
            weekly, columns=["mode", "population", "week_start"]
        ).assign(
            **keys, **accuracy(len(weekly)), share_within_5=0.64, mean_confidence=0.63
        ),
        "model_calibration": pd.DataFrame({"confidence": [0.5, 0.6, 0.8]}).assign(
            model_id=MODEL, n=400, first_date=DAYS[0], last_date=DAYS[-1], mae=4.5,
            share_within_5=[0.52, 0.61, 0.77], calibration_gap=0.02,
            interval_coverage=0.8,
        ),
        "feature_psi_weekly": pd.DataFrame(
            drift, columns=["feature_name", "week_start"]
        )
        .assign(**keys, mode="live", n=900, importance_rank=1, psi=share / 4)
        .assign(psi_limit=0.25, share_of_limit=share, is_beyond=share > 1)
        .assign(kl_divergence=0.1, mean_shift=0.2, stddev_ratio=0.1, coverage_drop=0.0),
        "alerts": pd.DataFrame(
            {"severity": ["critical", "warning", "warning"]}
        ).assign(
            is_open=[True, True, False],
            rule="feature_psi", first_seen_on=DAYS[0], opened_on=DAYS[1],
            closed_on=[pd.NaT, pd.NaT, DAYS[2]],
            closed_because=[None, None, "It passed."],
            explanation=HOSTILE, reason="Why", remedy="docs/monitoring.md#feature_psi",
        ),
        "retraining_triggers": pd.DataFrame(
            {"trigger": ["monthly", "model_age"], "is_due": [True, False]}
        ).assign(due_since=[DAYS[0], pd.NaT], evidence=HOSTILE),
        "experiment_results": pd.DataFrame({"kind": ["shadow", "split"]}).assign(
            production_model_id=MODEL, staging_model_id=CHALLENGER, mode="live",
            first_date=DAYS[0], last_date=DAYS[-1], production_n=900, staging_n=900,
            production_mae=4.61, staging_mae=4.57, mae_difference=-0.04,
            mae_difference_low=-0.07, mae_difference_high=0.01, more_game_days_needed=7,
            baseline_n=880, **{f"{name}_mae": 4.8 for name in BASELINES},
        ),
        "next_slate": pd.DataFrame(
            {"player_lookup": [HOSTILE, *(f"player{i:02d}" for i in range(29))]}
        ).assign(
            model_id=MODEL, mode="live", game_id="20240330_BOS_ATL", game_date=DAYS[-1],
            predicted_points=np.linspace(31, 2, 30), predicted_low=1.0,
            predicted_high=40.0, confidence=0.6,
        ),
        "data_quality_daily": pd.DataFrame({"game_date": DAYS}).assign(
            games_scheduled=8, games_with_box_scores=[8] * 19 + [6], played_rows=160,
            rejected_rows=0, empty_rows=1, feature_null_rate=0.001, outlier_share=0.0,
            constant_features=None, late_corrections=0,
        ),
        "prediction_operations_daily": pd.DataFrame({"game_date": DAYS}).assign(
            **keys, mode="live", expected=160, answered=155, answered_share=155 / 160,
            predicted=155, missing_rate=0.001, feature_quality_mean=0.99, skewed=0,
        ),
        "backtest_performance": pd.DataFrame(
            [(c, f) for c in ("champion", HOSTILE) for f in folds],
            columns=["configuration", "fold"],
        ).assign(
            **accuracy(8), backtest_id="b", population="all", last_date=DAYS[-1],
            first_date=[*pd.date_range("2023-12-01", periods=4, freq="MS")] * 2,
        ),
        "backtest_comparison": pd.DataFrame({"configuration": [HOSTILE]}).assign(
            backtest_id="b", other_configuration="champion", fold="all", n=900,
            mae_difference=0.03, low=0.01, high=0.05,
        ),
        "request_performance_daily": pd.DataFrame({"day": DAYS}).assign(
            model_id=MODEL, requests=900, failed_share=0.0, slow_share=0.01,
            latency_p50_ms=1.4, latency_p95_ms=8.0, latency_p99_ms=40.0,
        ),
    }  # fmt: skip


def fill(home: Home, *empty: str, keep: bool = True) -> Home:
    """Stand-ins for what dbt builds from games: all of them, those of `empty` without
    rows. `keep` false: none has any."""
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("set schema = 'nba_ml'")
        for name, rows in tables().items():
            connection.execute(
                "select table_type from information_schema.tables where table_name = ?",
                [name],
            )
            for (kind,) in connection.fetchall():
                connection.execute(f"drop {kind.removeprefix('BASE ')} {name}")
            connection.register("rows_of_table", rows)
            limit = "" if keep and name not in empty else "limit 0"
            connection.execute(f"create table {name} as from rows_of_table {limit}")
    return home


def written(home: Home) -> Path:
    return report.write(home, report.read(home))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def promote(home: Home) -> None:
    """Events by which the trained model is live."""
    events = [registry.model_event(kind, MODEL) for kind in ("staged", "promoted")]
    spool.write(home.spool, events)
    assert spool.sync(home).problems == []


@pytest.fixture(scope="module")
def pages(
    trained: tuple[Home, Trained], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The report of full tables and that of empty ones."""
    found = {}
    for name in ("full", "empty"):
        home = Home(tmp_path_factory.mktemp(name))
        shutil.copytree(trained[0].root, home.root, dirs_exist_ok=True)
        if name == "full":
            promote(home)
        found[name] = written(fill(home, keep=name == "full"))
    return found


def problems(seen: Look) -> list[str]:
    """What a person would stumble over."""
    found = [f"console: {line}" for line in seen.console]
    found += [f"request: {url}" for url in seen.requests[1:]]
    if overflow := seen.overflow():
        found.append(f"{overflow} pixels wider than the window")
    for text in seen.texts():
        is_large = (
            text["pixels"] >= 24 or text["pixels"] >= 18.6 and text["weight"] >= 700
        )
        if text["contrast"] < (3 if is_large else 4.5):
            found.append(f"contrast {text['contrast']:.1f}: {text['text'][:40]}")
        if text["pixels"] < (10 if text["isChart"] else 12):
            found.append(f"{text['pixels']:.1f} pixels: {text['text'][:40]}")
    for number, chart in enumerate(seen.charts()):
        if chart["width"] < 200 or chart["height"] < 40 or not chart["marks"]:
            found.append(f"chart {number} is empty: {chart}")
    return found


# what the page says


def test_every_section_says_what_it_shows(pages: dict[str, Path]) -> None:
    for page in pages.values():
        html = page.read_text()
        assert re.findall(r'<section id="(\w+)"', html) == SECTIONS
        about = re.findall(r'<div class="about"><h2 .+?</h2><p>(.+?)</p>', html)
        assert len(about) == len(SECTIONS) and all(len(text) > 40 for text in about)
        assert not re.search(r"\bNone\b|\bnan\b|NaT|undefined|\{\{|%\}", html)


def test_an_empty_section_says_why_and_what_fills_it(pages: dict[str, Path]) -> None:
    html = pages["empty"].read_text()
    assert "<svg" not in html
    verbs = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.M))
    notes = re.findall(r'<p class="empty">(.+?) To fill this: <code>(.+?)</code>', html)
    assert len(notes) == len(SECTIONS) + 1  # data quality has two tables
    for why, how in notes:
        assert why.endswith(".")
        for tool, verb in re.findall(r"(nba-ml|make) ([a-z]+)", how):
            assert verb in (
                verbs if tool == "make" else {*cli.commands, "backtest", "alerts"}
            )
    assert pages["full"].read_text().count('class="empty"') == 0


def test_an_accuracy_names_population_rows_dates_and_baselines(
    pages: dict[str, Path],
) -> None:
    html = pages["full"].read_text()
    paragraphs = re.findall(r"<p[^>]*>(.+?)</p>", html, re.S)
    said = [p for p in paragraphs if " is off by " in p or "absolute error of" in p]
    assert len(said) == 7  # the headline, and two of each section
    for paragraph in said:
        assert "everybody who played" in paragraph
        assert re.search(r"N&nbsp;[\d,]+", paragraph)
        assert re.search(r"\d+ \w+ 202[34] to \d+ \w+ 2024", paragraph)
        for baseline in ("the rule", "last 5 games", "last 10 games", "season average"):
            assert re.search(rf"{baseline} \d\.\d\d", paragraph), paragraph


def test_the_headline_is_what_the_live_model_did(trained_home: Home) -> None:
    frame = tables()["model_performance_overall"]
    for evidence in ("live", "test", "replay"):
        fill(trained_home)
        left = (
            frame[frame["evidence"] >= evidence]
            if evidence != "replay"
            else frame[frame["evidence"] == evidence]
        )
        with duckdb.connect(str(trained_home.warehouse)) as connection:
            connection.execute("set schema = 'nba_ml'")
            connection.register("left_over", left)
            connection.execute(
                "create or replace table model_performance_overall as from left_over"
            )
        html = written(trained_home).read_text()
        [figure] = re.findall(r'<p class="figure">(.+?)</p>', html)
        row = left[(left["population"] == "all") & (left["evidence"] == evidence)]
        assert figure == f"{row['mae'].iloc[0]:.2f}"
        assert f'<p class="rows"><span class="tag">{evidence}</span>' in html


def test_the_headline_says_what_is_left_without_a_report(trained_home: Home) -> None:
    fill(trained_home)
    with duckdb.connect(str(trained_home.warehouse)) as connection:
        connection.execute("set schema = 'nba_ml'")
        connection.execute(
            "create or replace table model_performance_overall as"
            " with tested as (from model_performance_overall"
            " where evidence = 'test' and population = 'all' and precedence = 1)"
            " from tested union all by name select * replace ("
            "'without_report' as population, 4.987 as mae) from tested"
        )
    [headline] = re.findall(
        r'<p class="rows">(.+?)</p>', written(trained_home).read_text(), re.S
    )
    assert "Without an availability report it would be 4.99 (" in headline


def test_what_comes_from_data_is_text(
    pages: dict[str, Path], chromium: Browser
) -> None:
    html = pages["full"].read_text()
    assert html.count("&lt;script&gt;console") > 8
    assert not re.search(r"<script|<img|<iframe|<object|<link rel=.stylesheet", html)
    with look(chromium, pages["full"], 1280) as seen:
        assert seen.console == []
        assert HOSTILE in seen.page.inner_text("#slate")


# how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["full", "empty"])
def test_it_is_readable(
    pages: dict[str, Path], chromium: Browser, name: str, width: int, scheme: str
) -> None:
    with look(chromium, pages[name], width, scheme) as seen:
        assert problems(seen) == []
        assert len(seen.charts()) == (CHARTS_WHEN_FULL if name == "full" else 0)
        assert len([text for text in seen.texts() if text["isChart"]]) >= (
            150 if name == "full" else 0
        )
        page = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", page)[:3])) < 384) == (scheme == "dark")


SHRUNK = '<text y="99" font-size="11" fill="var(--ink)">shrunk</text>'


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ('<p style="color:#999">too pale</p>', "contrast 2"),
        ('<p style="font-size:11px">too small</p>', "11.0 pixels"),
        ('<div style="width:500px">wide</div>', "wider than the window"),
        ('<img src="data.png" alt="">', "request: "),
        ("<script>console.log(1)</script>", "console: "),
        (f'<svg viewBox="0 0 600 200">{SHRUNK}</svg>', "6.0 pixels: shrunk"),
        ('<figure><svg viewBox="0 0 300 100"></svg></figure>', "is empty"),
    ],
)
def test_what_nobody_could_read_is_caught(
    pages: dict[str, Path], chromium: Browser, tmp_path: Path, planted: str, found: str
) -> None:
    path = tmp_path / "index.html"
    path.write_text(pages["full"].read_text().replace("<footer>", f"{planted}<footer>"))
    with look(chromium, path, 360) as seen:
        assert found in " ".join(problems(seen))


# the command


def test_a_table_that_is_not_built_is_named(trained_home: Home) -> None:
    fill(trained_home)
    small_warehouse.change(DuckDB(trained_home.warehouse), "drop table alerts")
    with pytest.raises(
        UserError, match="alerts is not built in .*Run: dbt build -s alerts"
    ):
        report.read(trained_home)
    assert not (trained_home.root / "report").exists()


def test_without_a_model_it_says_so(home: Home) -> None:
    html = written(fill(home, keep=False)).read_text()
    assert (
        "No model is registered." in html and "nba-ml train, then nba-ml deploy" in html
    )


def test_the_command_says_where_it_is(trained_home: Home) -> None:
    fill(trained_home)
    page = trained_home.root / "report/index.html"
    done = CliRunner().invoke(cli, ["report"])
    assert done.exit_code == 0 and done.output == f"Report: {page}\n"
    facts = json.loads(CliRunner().invoke(cli, ["report", "--json"]).output)
    assert facts["path"] == str(page)
    rows = facts["rows"]
    assert rows["slate"] == 30 and set(rows) == set(report.TABLES["report"])
    assert f"Report:    {page}" in CliRunner().invoke(cli, ["status"]).output


def test_stand_ins_have_columns_of_the_models() -> None:
    """So that a renamed column is not found by a reader of the page."""
    documented = {
        model["name"]: {column["name"] for column in model.get("columns", [])}
        for path in PROJECT.glob("models/**/*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
    }
    for name, rows in tables().items():
        assert set(rows.columns) <= documented[name], name
