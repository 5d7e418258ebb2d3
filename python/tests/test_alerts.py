"""Each alert rule fires beyond its limit, and is quiet at it and on too few rows.

The monitoring's tables are stood in for by rows made here; rules, limits and the SQL
that applies them are the project's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml

from dbt_project import DbtProject
from nba_ml.settings import PROJECT

AS_OF = datetime(2024, 2, 12, 12)
SEEDS = ("alert_rules", "drift_limits")
EVENTS = ("model_events", "model_metrics", "health_checks")
VIEWS = ("model_transitions", "model_live_periods", "alert_checks", "alerts")
LIVE_FROM = date(2024, 1, 1)

RULES = pd.read_csv(PROJECT / "seeds/alert_rules.csv").set_index("rule")
LIMITS = pd.read_csv(PROJECT / "seeds/drift_limits.csv")
GENERAL = LIMITS[LIMITS["feature_name"].isna()].set_index("rule")["limit_value"]

KEYS = {"model_id": "m", "variant": "production", "mode": "live"}
GAME = KEYS | {"game_date": LIVE_FROM}
WEEK = KEYS | {"week_start": LIVE_FROM, "n": 1000}
HEALTHY: dict[str, dict[str, Any]] = {
    "model_performance_daily": GAME
    | {"population": "all", "n": 1000, "mae": 4.4, "bias": 0.0}
    | {"interval_coverage": 0.8, "rule_mae": 5.0, "last_5_mae": 4.7}
    | {"last_10_mae": 4.6, "season_average_mae": 4.3, "best_baseline_mae": 4.3},
    "prediction_operations_daily": GAME
    | {"predicted": 1000, "expected": 1000, "answered_share": 1.0}
    | {"missing_rate": 0.0, "compared": 1000, "skewed_share": 0.0, "wrong_model": 0},
    "request_performance_daily": {"model_id": "m", "day": LIVE_FROM}
    | {"requests": 1000, "slow_share": 0.0, "failed_share": 0.0},
    "feature_drift_weekly": WEEK
    | {"season_phase": "after_break", "feature_name": "points_avg_last_10"}
    | {"mean_change": 0.0, "jump": 0.0, "stddev_ratio": 0.0, "psi": 0.0}
    | {"coverage_drop": 0.0, "value_count": 1000},
    "prediction_drift_daily": GAME | {"n": 1000, "psi": 0.0, "clamped_share": 0.0},
    "concept_drift_weekly": WEEK
    | {"cohort_kind": "tier", "cohort": "star", "bias_change": 0.0, "mae_change": 0.0},
    "data_quality_daily": {"game_date": LIVE_FROM, "games_scheduled": 1000}
    | {"missing_games": 0, "rejected_share": 0.0, "box_score_rows": 1000}
    | {"empty_share": 0.0, "played_rows": 1000, "constant_feature_count": 0}
    | {"outlier_share": 0.0, "feature_rows": 1000},
    "test_predictions": {"model_id": "m", "game_id": "g", "player_lookup": "p"}
    | {"actual_points": 10},
    "stg_player_game_summary": {"game_id": "g", "player_lookup": "p", "points": 10},
}


@dataclass(frozen=True)
class Figure:
    """Where a rule's figure comes from: `columns` of `table` that give it the value v.

    `n` is the column with its number of rows.
    """

    table: str
    n: str
    columns: Callable[[float], dict[str, float]]


def column(table: str, n: str, name: str) -> Figure:
    return Figure(table, n, lambda v: {name: v})


PERFORMANCE, OPERATIONS = "model_performance_daily", "prediction_operations_daily"
DRIFT, QUALITY = "feature_drift_weekly", "data_quality_daily"
FIGURES = {
    "mae_above_limit": column(PERFORMANCE, "n", "mae"),
    # last_10 was the best baseline on the test rows
    "worse_than_baseline": Figure(
        PERFORMANCE, "n", lambda v: {"mae": 4.5 + v, "last_10_mae": 4.5}
    ),
    "bias": column(PERFORMANCE, "n", "bias"),
    "too_good": Figure(
        PERFORMANCE, "n", lambda v: {"mae": v * 5, "best_baseline_mae": 5.0}
    ),
    "interval_coverage": Figure(
        PERFORMANCE, "n", lambda v: {"interval_coverage": 0.8 + v}
    ),
    "prediction_count": column(OPERATIONS, "expected", "answered_share"),
    "missing_features": column(OPERATIONS, "predicted", "missing_rate"),
    "skewed_features": column(OPERATIONS, "compared", "skewed_share"),
    "wrong_model": column(OPERATIONS, "predicted", "wrong_model"),
    "slow_requests": column("request_performance_daily", "requests", "slow_share"),
    "failed_requests": column("request_performance_daily", "requests", "failed_share"),
    "feature_mean_change": column(DRIFT, "value_count", "mean_change"),
    "feature_jump": column(DRIFT, "value_count", "jump"),
    "feature_spread_change": column(DRIFT, "value_count", "stddev_ratio"),
    "feature_psi": column(DRIFT, "value_count", "psi"),
    "feature_coverage": column(DRIFT, "n", "coverage_drop"),
    "prediction_psi": column("prediction_drift_daily", "n", "psi"),
    "clamped_predictions": column("prediction_drift_daily", "n", "clamped_share"),
    "cohort_bias": column("concept_drift_weekly", "n", "bias_change"),
    "cohort_mae": column("concept_drift_weekly", "n", "mae_change"),
    "missing_box_scores": column(QUALITY, "games_scheduled", "missing_games"),
    "rejected_rows": column(QUALITY, "box_score_rows", "rejected_share"),
    "empty_rows": column(QUALITY, "played_rows", "empty_share"),
    "constant_features": column(QUALITY, "feature_rows", "constant_feature_count"),
    "feature_outliers": column(QUALITY, "feature_rows", "outlier_share"),
}
OTHERS = {"no_predictions", "model_too_old", "retraining_missing"}
OTHERS |= {"registry_out_of_step", "late_corrections"}


def limit(rule: str) -> float:
    return float(GENERAL.get(rule, RULES.loc[rule, "limit_value"]))


def beyond(rule: str) -> float:
    step = 1 if limit(rule) == int(limit(rule)) and "share" not in rule else 0.01
    return limit(rule) + (-step if RULES.loc[rule, "comparison"] == "below" else step)


class World:
    """A warehouse in which rules look at the rows that a test makes."""

    def __init__(self, path: Path) -> None:
        self.connection = duckdb.connect(str(path))
        self.connection.execute("set schema = 'nba_ml'")

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        frame = pd.DataFrame([HEALTHY.get(table, {}) | row for row in rows])
        assert len(frame)
        self.connection.execute(f"insert into {table} by name select * from frame")

    def look(self, rule: str, value: float, count: int, **keys: Any) -> None:
        """`count` looks of `rule` one after another, from `first` on, at `value`."""
        figure, first = FIGURES[rule], keys.pop("first", LIVE_FROM)
        day = next(k for k in HEALTHY[figure.table] if k in DAYS)
        step = 7 if day == "week_start" else 1
        rows = [
            figure.columns(value) | keys | {day: first + timedelta(days=step * i)}
            for i in range(count)
        ]
        self.add(figure.table, *rows)

    def alerts(self, rule: str) -> list[dict[str, Any]]:
        found = self.connection.execute(
            "select * from alerts where rule = ? order by subject, opened_on", [rule]
        )
        return found.df().to_dict("records")


DAYS = ("game_date", "week_start", "day")


@pytest.fixture(scope="module")
def empty(project: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules, their views, and tables without rows; copy it, never change it."""
    home = tmp_path_factory.mktemp("alerts")
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("create schema nba_ml; set schema = 'nba_ml'")
        for table, row in HEALTHY.items():
            frame = pd.DataFrame([row])
            for name in DAYS:
                if name in frame:
                    frame[name] = pd.to_datetime(frame[name])
            dates = [f"{name}::date as {name}" for name in DAYS if name in frame]
            columns = f"* replace ({', '.join(dates)})" if dates else "*"
            connection.execute(
                f"create table {table} as select {columns} from frame limit 0"
            )
    chosen = (*SEEDS, *EVENTS, *VIEWS)
    return project.build(home, AS_OF.isoformat(), select=chosen)


@pytest.fixture
def world(empty: Path, tmp_path: Path) -> Iterator[World]:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(empty.read_bytes())
    made = World(path)
    made.add(
        "model_metrics",
        *(
            {"event_id": model, "model_id": model, "split": "test"}
            | {"population": "all", "predictor": "last_10", "metric": "mae_difference"}
            for model in ("fires", "at_limit", "too_short", "too_few")
        ),
    )
    yield made
    made.connection.close()


def test_every_rule_is_tried_here() -> None:
    assert FIGURES.keys() | OTHERS == set(RULES.index)


@pytest.mark.parametrize("rule", FIGURES)
def test_rule_fires_beyond_its_limit_alone(world: World, rule: str) -> None:
    figure, needed = FIGURES[rule], int(RULES.loc[rule, "checks_in_a_row"])
    few = int(RULES.loc[rule, "min_rows"]) - 1
    enough, columns = {figure.n: few + 1}, HEALTHY[figure.table]
    if "model_id" in columns:
        world.look(rule, beyond(rule), needed, model_id="fires", **enough)
        world.look(rule, limit(rule), needed, model_id="at_limit", **enough)
        if needed > 1:
            world.look(rule, beyond(rule), needed - 1, model_id="too_short")
        world.look(rule, beyond(rule), needed, model_id="too_few", **{figure.n: few})
    else:
        autumn = date(2023, 11, 1)
        world.look(rule, beyond(rule), needed, first=autumn, **enough)
        world.look(rule, limit(rule), needed, first=autumn + timedelta(30), **enough)
        world.look(
            rule, beyond(rule), needed, first=autumn + timedelta(60), **{figure.n: few}
        )
    [alert] = world.alerts(rule)
    assert alert["severity"] == RULES.loc[rule, "severity"]
    assert alert["checks"] == needed and alert["n"] == few + 1
    if "model_id" in columns:
        assert alert["model_id"] == "fires"
    else:
        assert alert["first_seen_on"].date() == date(2023, 11, 1)


def test_either_side_is_outside(world: World) -> None:
    world.look("bias", -1.6, 3, model_id="fires")
    assert len(world.alerts("bias")) == 1


def test_a_challenger_or_another_population_is_not_looked_at(world: World) -> None:
    world.look("bias", 9, 3, model_id="fires", variant="staging")
    world.look("bias", 9, 3, model_id="fires", population="tier_star")
    assert world.alerts("bias") == []


def test_requests_without_any_model_have_a_subject(world: World) -> None:
    world.look("failed_requests", 1, 1, model_id=None)
    [alert] = world.alerts("failed_requests")
    assert alert["subject"] == "no model" and alert["model_id"] is None
    assert alert["explanation"].startswith("no model: share of failed requests is 1 ")


def test_live_and_replay_are_two_subjects(world: World) -> None:
    world.look("bias", 9, 2, model_id="fires")
    world.look("bias", 9, 1, model_id="fires", mode="replay", first=date(2024, 1, 3))
    assert world.alerts("bias") == []


def test_the_fixed_limit_is_critical_only_beside_the_baseline(world: World) -> None:
    # 4.6 is above 4.5; the baseline has 4.7 of one model and 4.5 of the other
    world.look("mae_above_limit", 4.6, 3, model_id="at_limit", last_10_mae=4.7)
    world.look("mae_above_limit", 4.6, 3, model_id="fires", last_10_mae=4.5)
    found = {a["model_id"]: a["severity"] for a in world.alerts("mae_above_limit")}
    assert found == {"at_limit": "warning", "fires": "critical"}
    assert [a["model_id"] for a in world.alerts("worse_than_baseline")] == ["fires"]


def test_it_is_critical_only_while_the_other_is_open(world: World) -> None:
    first, then = date(2024, 2, 1), date(2024, 2, 4)
    world.look("mae_above_limit", 4.6, 3, model_id="fires", first=first)
    world.connection.execute("update model_performance_daily set last_10_mae = 4.5")
    assert [a["severity"] for a in world.alerts("mae_above_limit")] == ["critical"]
    world.look("mae_above_limit", 4.6, 1, model_id="fires", first=then, last_10_mae=4.7)
    [alert] = world.alerts("mae_above_limit")
    assert alert["is_open"] and alert["severity"] == "warning"
    # over, both: it was critical
    world.look("mae_above_limit", 4.4, 1, model_id="fires", first=date(2024, 2, 5))
    [alert] = world.alerts("mae_above_limit")
    assert not alert["is_open"] and alert["severity"] == "critical"


def test_a_feature_has_its_own_limit(world: World) -> None:
    own = LIMITS.set_index(["rule", "feature_name"])["limit_value"]
    between = own["feature_psi", "opponent_pace"] - 0.5
    assert between > limit("feature_psi")
    for name in ("opponent_pace", "points_avg_last_10", "days_rest"):
        world.look("feature_psi", between, 2, model_id="fires", feature_name=name)
    # days_rest follows the calendar: it is not judged at all
    assert [a["subject"] for a in world.alerts("feature_psi")] == [
        "fires points_avg_last_10"
    ]


def test_a_feature_of_who_is_there_may_be_missing(world: World) -> None:
    declared = yaml.safe_load(
        (PROJECT / "models/features/_feature_store__models.yml").read_text()
    )
    columns = declared["models"][0]["versions"][1]["columns"]
    required = {
        column["name"]: column["config"]["meta"]["feature"].get("requires")
        for column in columns
        if "config" in column
    }
    # no report in two weeks: all is missing that was there in training
    for name in required:
        world.look("feature_coverage", 100, 2, model_id="fires", feature_name=name)
    assert {a["subject"] for a in world.alerts("feature_coverage")} == {
        f"fires {name}" for name, needed in required.items() if needed is None
    }
    assert "availability" in required.values()


def test_of_a_week_in_two_parts_of_the_season_the_larger_counts(world: World) -> None:
    for i in range(2):
        first = LIVE_FROM + timedelta(days=7 * i)
        world.look("feature_psi", 9, 1, first=first, n=200, season_phase="first")
        world.look("feature_psi", 0, 1, first=first, n=201, season_phase="second")
    assert world.alerts("feature_psi") == []


@pytest.mark.parametrize("rule", ["feature_jump", "cohort_bias"])
def test_a_week_is_judged_when_it_is_over(world: World, rule: str) -> None:
    # the clock stands at Monday, the 12th of February: the week of the 5th is over
    needed = int(RULES.loc[rule, "checks_in_a_row"])
    running = date(2024, 2, 12) - timedelta(days=7 * (needed - 1))
    world.look(rule, 9, needed, model_id="too_short", first=running)
    world.look(rule, 9, needed, model_id="fires", first=running - timedelta(days=7))
    assert [alert["model_id"] for alert in world.alerts(rule)] == ["fires"]


@pytest.mark.parametrize(
    ("rule", "value"),
    [("prediction_count", 0.1), ("skewed_features", 1), ("clamped_predictions", 1)],
)
def test_a_slate_is_judged_when_its_day_is_over(
    world: World, rule: str, value: float
) -> None:
    # some were asked for, or predicted on what the next build will correct
    world.look(rule, value, 2, model_id="too_short", first=date(2024, 2, 12))
    world.look(rule, value, 1, model_id="fires", first=date(2024, 2, 11))
    assert [alert["model_id"] for alert in world.alerts(rule)] == ["fires"]


def trained(model_id: str, day: date, *, promoted: bool = True) -> list[dict[str, Any]]:
    noon = datetime.combine(day, datetime.min.time()) + timedelta(hours=12)
    kinds = ["trained", "staged", "promoted"] if promoted else ["trained"]
    return [
        {"event_id": f"{model_id} {kind}", "event_type": kind, "model_id": model_id}
        | {"event_at": noon, "event_sequence": number, "details": json.dumps({})}
        for number, kind in enumerate(kinds)
    ]


def test_age_counts_from_training(world: World) -> None:
    # 22 days after the 1st it is the 23rd of January, 36 days the 6th of February
    world.add("model_events", *trained("m", LIVE_FROM))
    days = [LIVE_FROM + timedelta(days=i) for i in range(37)]
    world.add("data_quality_daily", *({"game_date": day} for day in days))
    [age] = world.alerts("model_too_old")
    assert age["opened_on"].date() == date(2024, 1, 23)
    [run] = world.alerts("retraining_missing")
    assert run["opened_on"].date() == date(2024, 2, 6)


def test_another_model_in_training_is_a_retraining(world: World) -> None:
    world.add("model_events", *trained("m", LIVE_FROM))
    world.add("model_events", *trained("n", date(2024, 1, 20), promoted=False))
    days = [LIVE_FROM + timedelta(days=i) for i in range(37)]
    world.add("data_quality_daily", *({"game_date": day} for day in days))
    assert len(world.alerts("model_too_old")) == 1
    assert world.alerts("retraining_missing") == []


def test_a_game_day_without_forecasts(world: World) -> None:
    world.add("model_events", *trained("m", LIVE_FROM))
    days = [LIVE_FROM + timedelta(days=i) for i in range(-2, 5)]
    world.add("data_quality_daily", *({"game_date": day} for day in days))
    world.look("wrong_model", 0, 2)
    world.look("wrong_model", 0, 2, first=date(2024, 1, 4))
    [alert] = world.alerts("no_predictions")
    assert alert["opened_on"].date() == alert["last_seen_on"].date() == date(2024, 1, 3)
    assert alert["closed_on"].date() == date(2024, 1, 4)


@pytest.mark.parametrize(("tested", "is_open"), [(199, True), (200, False)])
def test_corrected_outcomes_of_the_live_model(
    world: World, tested: int, is_open: bool
) -> None:
    # two were corrected: 2 of 199 are more than one in a hundred, 2 of 200 are not
    world.add("model_events", *trained("m", date(2024, 2, 1)))
    world.add(
        "data_quality_daily", *({"game_date": date(2024, 2, 10 + i)} for i in (0, 1))
    )
    players = [{"player_lookup": f"p{i}"} for i in range(tested)]
    world.add("test_predictions", *players)
    world.add("test_predictions", *(one | {"model_id": "old"} for one in players[:2]))
    late = [one | {"points": 10 + (i < 2)} for i, one in enumerate(players)]
    world.add("stg_player_game_summary", *late)
    found = world.alerts("late_corrections")
    assert [(a["subject"], a["is_open"], a["checks"]) for a in found] == (
        [("m", True, 2)] if is_open else []
    )


def test_the_last_look_of_a_day_counts(world: World) -> None:
    def look(hour: int, failures: int, day: int = 1) -> dict[str, Any]:
        at = datetime(2024, 2, day, hour)
        return {"event_id": f"{at}", "check_name": "registry_out_of_step"} | {
            "checked_at": at,
            "failures": failures,
        }

    world.add("health_checks", look(8, 2), look(9, 0), look(8, 0, 2), look(9, 1, 2))
    [alert] = world.alerts("registry_out_of_step")
    assert alert["opened_on"].date() == date(2024, 2, 2)
    assert alert["is_open"] and alert["severity"] == "critical"


def test_an_alert_is_closed_by_the_next_check_that_passes(world: World) -> None:
    world.look("bias", 1.6, 4, model_id="fires")
    world.look("bias", 0, 1, model_id="fires", first=date(2024, 1, 9))
    world.look("bias", 1.6, 3, model_id="fires", first=date(2024, 2, 9))
    old, new = world.alerts("bias")
    assert old["opened_on"].date() == date(2024, 1, 3)
    assert old["last_seen_on"].date() == date(2024, 1, 4)
    assert old["closed_on"].date() == date(2024, 1, 9)
    assert old["closed_because"] == "The next check passed."
    assert new["is_open"] and pd.isna(new["closed_on"]) and new["checks"] == 3
    assert old["alert_id"] != new["alert_id"]
    assert new["explanation"] == (
        "fires (live): bias is 1.600 on 1000 rows, and must not be outside 1.500; "
        "3 game days in a row, since 2024-02-09."
    )


def test_a_longer_breach_keeps_its_id(world: World) -> None:
    world.look("bias", 1.6, 3, model_id="fires", first=date(2024, 2, 1))
    [before] = world.alerts("bias")
    world.look("bias", 1.7, 1, model_id="fires", first=date(2024, 2, 4))
    [after] = world.alerts("bias")
    assert before["alert_id"] == after["alert_id"] and after["checks"] == 4


def test_too_few_rows_neither_close_nor_lengthen(world: World) -> None:
    world.look("bias", 1.6, 2, model_id="fires", first=date(2024, 2, 1))
    world.look("bias", 0, 1, model_id="fires", first=date(2024, 2, 3), n=99)
    world.look("bias", 1.6, 1, model_id="fires", first=date(2024, 2, 4))
    [alert] = world.alerts("bias")
    assert alert["checks"] == 3 and alert["is_open"]


def test_what_nobody_looks_at_is_not_open_for_ever(world: World) -> None:
    # the clock stands at the 12th of February: 14 days ago was the 29th of January
    world.look("bias", 1.6, 3, model_id="at_limit", first=date(2024, 1, 27))
    world.look("bias", 1.6, 3, model_id="fires", first=date(2024, 1, 26))
    still, old = world.alerts("bias")
    assert still["is_open"] and not old["is_open"]
    assert old["closed_on"].date() == date(2024, 2, 11)
    assert old["closed_because"] == "Not checked for 14 days."


def test_a_model_that_left_production_takes_its_alerts_along(world: World) -> None:
    world.look("bias", 1.6, 3, model_id="m", first=date(2024, 2, 8))
    world.add("model_events", *trained("m", LIVE_FROM))
    [alert] = world.alerts("bias")
    assert alert["is_open"]
    world.add("model_events", *trained("n", date(2024, 2, 11)))
    [alert] = world.alerts("bias")
    assert alert["closed_on"].date() == date(2024, 2, 11)
    assert alert["closed_because"] == "The model left production."
