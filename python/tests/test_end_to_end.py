"""The two commands of the README, as a user runs them: simulated and real data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dbt_project import DbtProject
from nba_ml.settings import PROJECT

REAL = Path(os.environ.get("NBA_ML_REAL_DATA", PROJECT.parent / "shared/data/nba"))
DOCS = ("docs/index.html", "docs/features/index.html")
REPORT = "report/index.html"


def make(home: Path, *arguments: str) -> str:
    """What `make ...` prints, with state in `home`; fails with all of its output."""
    environment = {k: v for k, v in os.environ.items() if k != "NBA_ML_AS_OF"}
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments, f"NBA_ML_HOME={home}"],
        cwd=PROJECT,
        env=environment | {"COLUMNS": "130"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def query(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("set schema 'nba_ml'")
        return connection.sql(sql).fetchall()


def evaluation(printed: str) -> dict[str, list[float]]:
    """Numbers by population of the printed table, in the order of its columns."""
    rows = {}
    for line in printed.splitlines():
        name, *cells = line.replace("..", " ").replace("%", "").split() or [""]
        numbers = [cell.replace(",", "") for cell in cells]
        if len(cells) == 10 and all(re.fullmatch(r"[-+\d.]+", n) for n in numbers):
            rows[name] = [float(number) for number in numbers]
    return rows


@pytest.fixture(scope="module")
def simulated_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("simulated_run")
    return home, make(home, "run")


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    if not list(REAL.glob("player_game_summary*.parquet")):
        pytest.fail(
            f"No real box scores in {REAL}. Set NBA_ML_REAL_DATA to a folder with "
            "player_game_summary*.parquet."
        )
    home = tmp_path_factory.mktemp("real_run")
    return home, make(home, "run", f"DATA={REAL}")


def test_make_run_ends_with_the_evaluation_and_the_places(
    simulated_run: tuple[Path, str],
) -> None:
    home, printed = simulated_run
    assert evaluation(printed).keys() >= {"all", "tier_bench", "tier_star"}
    for place in ("warehouse.duckdb", "models", *DOCS, REPORT):
        assert str(home / place) in printed
        assert (home / place).exists()
    assert "predictions for 2025-04-13 by xgboost_v1.1.0 (replay) logged" in printed


def test_make_run_ends_with_a_prediction_over_http(
    simulated_run: tuple[Path, str],
) -> None:
    home, printed = simulated_run
    answer = json.loads(
        re.search(r"POST http://127\.0\.0\.1.*?\n(\{.*?\n\})", printed, re.S)[1]
    )
    assert answer["model_id"] == "xgboost_v1.1.0"
    served = query(
        home,
        "select count(*), count(distinct predicted_points) from prediction_log"
        f" where player_lookup = '{answer['player_lookup']}'"
        " and model_id = 'xgboost_v1.1.0'",
    )
    # in the shadow and by the watch of the deployment, by nba-ml predict, and twice by
    # the worker
    assert served == [(5, 1)]
    assert query(home, "select count(*) from parity_mismatches") == [(0,)]
    assert re.search(r"new rows: 40\d prediction_log, 2 request_log", printed)


def test_readme_shows_what_make_run_prints(simulated_run: tuple[Path, str]) -> None:
    shown = evaluation((PROJECT / "README.md").read_text())
    printed = evaluation(simulated_run[1])
    assert shown.keys() == printed.keys()
    for population, numbers in printed.items():
        # trees differ in the last digits between processors
        assert shown[population] == pytest.approx(numbers, abs=0.05), population


def test_a_second_make_run_repeats_nothing(simulated_run: tuple[Path, str]) -> None:
    home, first = simulated_run
    counts = "select (select count(*) from model_events), (select count(*) from {})"
    by_command = "prediction_log where request_id not in (select request_id"
    by_command += " from request_log)"
    before = query(home, counts.format(by_command))
    built = query(home, "select dbt_invocation_id from build_info")
    files = {path: (home / path).stat().st_mtime_ns for path in DOCS}
    second = make(home, "run")
    assert evaluation(second) == evaluation(first)
    assert query(home, counts.format(by_command)) == before
    assert query(home, "select dbt_invocation_id from build_info") == built
    assert files == {path: (home / path).stat().st_mtime_ns for path in DOCS}


def test_plain_dbt_build_works_when_the_clock_is_the_present(
    simulated_run: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copytree(simulated_run[0] / "raw", tmp_path / "raw")
    environment = {k: v for k, v in os.environ.items() if k != "NBA_ML_AS_OF"} | {
        "NBA_ML_HOME": str(tmp_path),
        "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
    }
    done = subprocess.run(
        [PROJECT / ".venv/bin/dbt", "build", "--target-path", tmp_path / "target"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    # the data stand still: said, not refused
    assert "WARN=1 ERROR=0" in done.stdout


def test_the_logged_prediction_leads_back_to_its_training(
    simulated_run: tuple[Path, str],
) -> None:
    home, _ = simulated_run
    lineage = query(
        home,
        "select count(*), count(*) filter (is_registered_artifact),"
        " count(training_frame_sha256), count(dbt_invocation_id) from model_lineage",
    )
    slate = query(
        home,
        "select count(*) from feature_store where is_scheduled"
        " and games_played_prior >= 10",
    )
    [(count, *known)] = lineage
    assert slate[0][0] > 300
    # the deployment's watch, nba-ml predict, and the worker: all of the slate
    assert known == [count] * 3 and count > 3 * slate[0][0]


# the season that is replayed


def seasons(home: Path) -> list[tuple[Any, ...]]:
    return query(
        home,
        "select model_id, mode, count(*), avg(absolute_error), min(game_date),"
        " max(game_date), count(distinct game_date),"
        " max(predicted_at) < max(game_date) + interval 13 hour"
        " from prediction_accuracy where not is_voided group by all",
    )


def test_make_run_replays_the_last_season(simulated_run: tuple[Path, str]) -> None:
    home, _ = simulated_run
    [(model, mode, n, mae, _, _, days, is_before)] = seasons(home)
    assert (model, mode, is_before) == ("xgboost_v1.0.0", "replay", True)
    assert n > 20_000 and days > 100 and 4 < mae < 5


def test_real_games_fill_the_monitoring(real_run: tuple[Path, str]) -> None:
    home, printed = real_run
    [(model, mode, n, mae, first, last, days, is_before)] = seasons(home)
    assert (model, mode, is_before) == ("xgboost_v1.0.0", "replay", True)
    assert (n, days) == (25_123, 159)
    assert (str(first), str(last)) == ("2023-10-24", "2024-04-12")
    # below 4.30 no honest model of these features comes: hunt the leak
    assert 4.30 < mae < 4.45
    assert "replayed the season 2023-24: 25,123 predictions" in printed
    for table, least in {
        "model_performance_weekly": 100,
        "feature_drift_weekly": 500,
        "prediction_drift_daily": 150,
        "concept_drift_weekly": 200,
        "prediction_operations_daily": 150,
        "data_quality_daily": 1_000,
        "alert_checks": 3_000,
        "alerts": 3,
        "retraining_triggers": 6,
    }.items():
        assert query(home, f"select count(*) from {table}")[0][0] >= least, table
    worst = query(
        home,
        "select rule, count(*) from alerts where severity = 'critical' and opened_on"
        " >= '2023-10-01' group by rule having count(*) > 2",
    )
    assert worst == []
    assert query(home, "select count(*) from alerts where is_open") == [(0,)]


def test_the_catalogue_holds_every_feature_with_statistics_and_importance(
    simulated_run: tuple[Path, str],
) -> None:
    home, _ = simulated_run
    rows = query(
        home,
        "select count(*), count(mean), count(importance_rank), sum(gain_share),"
        " count(distinct feature_order) from feature_catalog"
        " group by feature_version order by feature_version",
    )
    # the importance is that of the model in production
    assert rows == [(25, 25, 0, None, 25), (63, 63, 63, pytest.approx(1), 63)]
    page = (home / DOCS[1]).read_text()
    assert "25" in page and "feature_store_v1" in page and "feature_store_v2" in page


def test_real_data_have_all_features_for_every_row(
    real_run: tuple[Path, str],
) -> None:
    home, _ = real_run
    assert query(
        home,
        "select feature_version, count(*) from feature_catalog group by 1 order by 1",
    ) == [("v1", 25), ("v2", 63)]
    played, in_store, scheduled = query(
        home,
        """select
            (select count(*) from stg_player_game_summary where is_played),
            (select count(*) from feature_store where not is_scheduled),
            (select count(*) from feature_store where is_scheduled)""",
    )[0]
    assert played == in_store > 230_000
    assert scheduled > 400
    assert query(home, "select count(*) from rejected_rows") == [(0,)]


def test_the_card_says_that_the_model_knows_who_plays(
    simulated_run: tuple[Path, str],
) -> None:
    [card] = (simulated_run[0] / "models/production").glob("*.card.md")
    assert "box scores, the schedule and who plays" in card.read_text()
    assert "box scores and the schedule only" not in card.read_text()


def test_real_data_agree_with_the_published_baselines(
    real_run: tuple[Path, str],
) -> None:
    n, mae, low, high, rule, last_5, last_10, season, bias, covered = evaluation(
        real_run[1]
    )["all"]
    assert 11_000 < n < 11_800
    assert last_10 == pytest.approx(4.66, abs=0.03)
    assert season == pytest.approx(4.70, abs=0.03)
    assert last_5 == pytest.approx(4.765, abs=0.03)
    assert low < mae < high
    assert mae <= 4.36
    # far better than any honest model on these rows: hunt the leak
    assert mae > 4.30
    assert mae < evaluation(real_run[1])["without_report"][1] < 4.46
    assert -1.0 < bias < 0
    assert covered == pytest.approx(80, abs=3)
    assert mae < min(rule, last_5, last_10, season)


def test_real_rule_baseline_is_that_of_its_definition(
    real_run: tuple[Path, str],
) -> None:
    # 4.82 was published for it; that figure lacked the two parts from shot zones
    rule = evaluation(real_run[1])["all"][4]
    [[without_zones]] = query(
        real_run[0],
        """
        select avg(abs(least(greatest(
            baselines.rule
            - 0.35 * coalesce(store.shot_zone_mismatch_score, 0)
            - case
                when paint_rate_last_10 > 40 and opponent_def_rating > 110
                    then least(
                        (paint_rate_last_10 - 40) / 10
                        * (opponent_def_rating - 110) / 5 * 0.4,
                        1.5
                    )
                when three_pt_rate_last_10 > 40 and opponent_def_rating < 110
                    then -0.5
                else 0
            end, 0), 60) - tested.actual_points))
        from test_predictions as tested
        inner join baseline_predictions as baselines using (game_id, player_lookup)
        inner join feature_store_v1 as store using (game_id, player_lookup)
        where tested.model_id = 'xgboost_v1.1.0'
        """,
    )
    assert rule == pytest.approx(4.95, abs=0.02)
    assert without_zones == pytest.approx(4.82, abs=0.05)


def test_real_base_of_the_rule_beats_all_four_baselines(
    real_run: tuple[Path, str],
) -> None:
    [maes] = query(
        real_run[0],
        """
        select
            avg(abs(0.35 * last_5 + 0.40 * last_10 + 0.25 * season_average - actual)),
            avg(abs(rule - actual)),
            avg(abs(last_5 - actual)),
            avg(abs(last_10 - actual)),
            avg(abs(season_average - actual))
        from (
            select baselines.*, tested.actual_points as actual
            from test_predictions as tested
            inner join baseline_predictions as baselines
                using (game_id, player_lookup)
            where tested.model_id = 'xgboost_v1.1.0'
        ) as graded
        """,
    )
    assert maes[0] < min(maes[1:]), "docs/results.md says so"


def test_real_results_page_is_true(real_run: tuple[Path, str]) -> None:
    shown = evaluation((PROJECT / "docs/results.md").read_text())
    printed = evaluation(real_run[1])
    assert shown.keys() == printed.keys()
    for population, numbers in printed.items():
        assert shown[population] == pytest.approx(numbers, abs=0.05), population


def test_real_null_rates_stay_below_the_published_limits(
    real_run: tuple[Path, str],
) -> None:
    limits = dict.fromkeys(
        ["paint", "mid_range", "three_pt", "shot_zone"], 10.0
    ) | dict.fromkeys(["points_avg_season", "momentum", "matchup", "usage_spike"], 3.0)
    rates = query(
        real_run[0],
        "select feature_name, max(null_pct), min(distinct_values) from feature_quality"
        " where season_year in (2022, 2023) and feature_version = 'v1'"
        " group by feature_name",
    )
    assert len(rates) == 25
    for name, null_pct, distinct_values in rates:
        limit = next((v for k, v in limits.items() if name.startswith(k)), 1.0)
        assert null_pct < limit, name
        assert distinct_values > 1, name


def test_real_limits_in_the_seed_carry_the_measured_value(
    real_run: tuple[Path, str],
) -> None:
    rows = query(
        real_run[0],
        """select limits.feature_version, limits.feature_name, limits.season_year,
            limits.measured_pct, max(quality.null_pct)
        from feature_null_limits as limits
        inner join feature_quality as quality
            on limits.feature_version = quality.feature_version
            and limits.feature_name = quality.feature_name
            and (
                limits.season_year = quality.season_year
                or (
                    limits.season_year is null
                    and not exists (
                        select 1 from feature_null_limits as own
                        where own.feature_version = quality.feature_version
                            and own.feature_name = quality.feature_name
                            and own.season_year = quality.season_year
                    )
                )
            )
        group by all""",
    )
    assert len(rows) > 25
    for *key, measured, found in rows:
        assert measured == pytest.approx(found, abs=0.06), key


def test_real_absences_tell_nothing_of_the_margin(
    real_run: tuple[Path, str], tmp_path: Path
) -> None:
    """Counting players of 20 minutes and more; of 15 and more they would."""
    home, project = tmp_path / "home", DbtProject.copy_to(tmp_path)
    home.mkdir()
    shutil.copy(real_run[0] / "warehouse.duckdb", home)
    (home / "raw").symlink_to(real_run[0] / "raw")
    clock = (real_run[0] / "raw/as_of").read_text().strip()
    guard = "assert_int_rotations__absence_is_independent_of_margin"
    assert project.failed_tests(home, clock, guard) == set()
    lower = ("dbt_project.yml", "rotation_minutes: 20", "rotation_minutes: 15")
    with project.planted(lower):
        project.build(home, clock, select=["int_rotations"])
        assert project.failed_tests(home, clock, guard) == {guard}


def test_status_is_machine_readable(simulated_run: tuple[Path, str]) -> None:
    done = subprocess.run(
        [PROJECT / ".venv/bin/nba-ml", "status", "--json"],
        env=os.environ | {"NBA_ML_HOME": str(simulated_run[0])},
        capture_output=True,
        text=True,
        check=True,
    )
    facts = json.loads(done.stdout)
    replayed, model = facts["models"]
    assert (replayed["status"], model["status"]) == ("retired", "production")
    assert facts["live_model_id"] == model["model_id"] and facts["out_of_step"] == []
    assert facts["data"]["next_slate_date"].startswith("2025-04-13")
