"""Retraining: what it does, what it refuses, and what a kill leaves to the next run."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import small_warehouse
from nba_ml import alerting, deployment, lineup, retraining, serving, spool, training
from nba_ml.alerting import Untold
from nba_ml.cli import cli
from nba_ml.deployment import Plan
from nba_ml.retraining import Run, retrain
from nba_ml.settings import Home, UserError
from nba_ml.warehouse import DuckDB
from test_deployment import Kill

FIRST, SECOND, THIRD = (f"xgboost_v1.{minor}.0" for minor in range(3))
CONFIG = small_warehouse.config()
DUE = "model_age,monthly"
SHADOW = Plan(role="challenger")


def other(trees: int) -> training.Config:
    """A configuration that gives another model on the same rows."""
    return replace(CONFIG, num_boost_round=trees)


@pytest.fixture(scope="module")
def prepared(watched: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One model, trained 39 days ago and not deployed; gates that small data pass."""
    home = Home(tmp_path_factory.mktemp("prepared"))
    shutil.copy(watched.warehouse, home.warehouse)
    run = partial(small_warehouse.change, DuckDB(home.warehouse))
    run("delete from deployment_gates where gate != 'test_rows'")
    run("update deployment_gates set limit_value = 100")
    run("update watch_limits set min_rows = 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_AS_OF", "2024-02-20T12:00:00")
        assert training.train(home, other(20)).model_id == FIRST
    return home


@pytest.fixture(scope="module")
def deployed(prepared: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same in production."""
    home = copied(prepared, tmp_path_factory.mktemp("deployed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_AS_OF", small_warehouse.NOON)
        deployment.deploy(home, FIRST, Plan(watch=0))
    return home


def copied(home: Home, root: Path) -> Home:
    shutil.copytree(home.root, root, dirs_exist_ok=True)
    return Home(root)


@pytest.fixture
def registered(prepared: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A model and none in production; current for the commands."""
    return current(copied(prepared, tmp_path), monkeypatch)


@pytest.fixture
def live(deployed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A model in production, old enough for another; current for the commands."""
    return current(copied(deployed, tmp_path), monkeypatch)


def current(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("NBA_ML_HOME", str(home.root))
    monkeypatch.setenv("NBA_ML_AS_OF", small_warehouse.NOON)
    monkeypatch.delenv("NBA_ML_WEBHOOK", raising=False)
    return home


def change(home: Home, sql: str) -> None:
    small_warehouse.change(DuckDB(home.warehouse), sql)


def read(home: Home, sql: str) -> list[dict[str, Any]]:
    return DuckDB(home.warehouse).read(sql).to_dict("records")


def runs(home: Home) -> list[tuple[str, str]]:
    """Trigger and outcome of each run, in their order."""
    rows = read(home, "select * from retraining_runs order by event_sequence")
    return [(row["trigger"], row["outcome"]) for row in rows]


def statuses(home: Home) -> dict[str, str]:
    rows = read(home, "select model_id, status from model_registry order by model_id")
    return {row["model_id"]: row["status"] for row in rows}


def assert_in_shadow(home: Home, model_id: str) -> None:
    """The model answers nobody, what was in production is, and all agree."""
    assert deployment.differences(home) == []
    config = lineup.load(home).config
    assert config.production_model and config.production_model.model_id == FIRST
    staging = config.staging_model
    assert staging and (staging.model_id, staging.mode) == (model_id, "shadow")
    assert staging.traffic_split == 0
    found = statuses(home)
    assert (found[FIRST], found[model_id]) == ("production", "staging")


# the way it goes


def test_what_is_due_ends_as_a_challenger_in_the_shadow_and_is_not_due_again(
    live: Home,
) -> None:
    told: list[str] = []
    run = retrain(live, CONFIG, if_due=True, tell=told.append)
    assert (run.trigger, run.outcome, run.model_id) == (DUE, "registered", SECOND)
    assert run.is_good
    assert_in_shadow(live, SECOND)
    assert told == [f"Retraining ({DUE}): registered. {run.explanation}"]
    assert run.explanation.endswith("To promote it: nba-ml deploy 1.1.0")
    again = retrain(live, CONFIG, if_due=True, tell=told.append)
    assert (again.outcome, again.model_id) == ("not_due", None)
    assert again.is_good and len(told) == 1, "nothing to tell"
    assert runs(live) == [(DUE, "registered"), ("by_hand", "not_due")]
    [row, _] = read(live, "select * from retraining_runs order by event_sequence")
    assert row["model_id"] == SECOND and row["explanation"] == run.explanation
    assert row["started_at"].isoformat() == small_warehouse.NOON
    deployment.deploy(live, "1.1.0", Plan(watch=0))
    assert statuses(live) == {FIRST: "retired", SECOND: "production"}


def test_by_hand_it_need_not_be_due(live: Home) -> None:
    change(live, "update model_events set event_at = timestamp '2024-03-29'")
    assert retrain(live, CONFIG, if_due=True).outcome == "not_due"
    run = retrain(live, CONFIG)
    assert (run.trigger, run.outcome) == ("by_hand", "registered")
    assert_in_shadow(live, SECOND)


def test_nothing_new_to_train_on_is_nothing_to_do(live: Home) -> None:
    training.train(live, CONFIG)
    deployment.rollback(live, deployment.deploy(live, SECOND, SHADOW).model_id)
    run = retrain(live, CONFIG)
    assert (run.outcome, run.model_id) == ("not_due", SECOND)
    assert run.explanation == f"Nothing changed since {SECOND} (retired)."
    assert list(statuses(live)) == [FIRST, SECOND]


def test_a_split_is_not_taken_back(live: Home) -> None:
    assert training.train(live, CONFIG).model_id == SECOND
    plan = Plan(role="challenger", mode="split", traffic_split=0.3)
    deployment.deploy(live, SECOND, plan)
    assert retrain(live, CONFIG).outcome == "not_due"
    config, _ = serving.read_config(serving.open_serving(live))
    assert config.staging_model and config.staging_model.mode == "split"


def test_another_challenger_stays_and_it_is_said(live: Home) -> None:
    training.train(live, other(30))
    deployment.deploy(live, SECOND, SHADOW)
    run = retrain(live, CONFIG)
    assert (run.outcome, run.model_id) == ("registered", THIRD)
    assert f"not in the shadow: {SECOND} is the challenger" in run.explanation
    assert_in_shadow(live, SECOND)
    assert statuses(live)[THIRD] == "training"


def test_without_a_model_in_production_it_is_registered_only(registered: Home) -> None:
    run = retrain(registered, CONFIG, if_due=True)
    assert (run.trigger, run.outcome) == ("monthly", "registered")
    assert run.explanation.endswith("in production. Next: nba-ml deploy 1.1.0")
    assert statuses(registered) == {FIRST: "training", SECOND: "training"}


def test_a_feature_version_that_the_configuration_does_not_train_asks_in_vain(
    live: Home,
) -> None:
    change(live, "update model_events set event_at = timestamp '2024-03-29'")
    change(live, "update feature_catalog set feature_version = 'v2'")
    sql = "select trigger from retraining_triggers where is_due"
    assert read(live, sql) == [{"trigger": "feature_version"}]
    assert retrain(live, CONFIG, if_due=True).outcome == "not_due"
    newer = replace(CONFIG, feature_version="v2")
    assert retraining._due(live, newer).keys() == {"feature_version"}


# refusals


def old_tables(home: Home) -> None:
    change(home, "update build_info set as_of = as_of - interval 1441 minute")


def missing_game(home: Home) -> None:
    change(
        home,
        "delete from stg_player_game_summary where game_date >= date '2024-03-26'",
    )


def broken_data(home: Home) -> None:
    change(
        home,
        "insert into alerts by name select 'a' as alert_id, 'empty_rows' as rule,"
        " 'data' as area, 'critical' as severity, true as is_open, 'Half are empty.'"
        " as explanation, 'docs/here' as remedy",
    )


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (old_tables, "24 hours old, and 24 are the limit. Run: dbt build"),
        (missing_game, "3 games of 2024-03-26 to 2024-03-26 are over and have no box"),
        (broken_data, "Half are empty. What to do: docs/here"),
    ],
)
def test_stale_and_broken_data_are_refused(
    live: Home, plant: Callable[[Home], None], message: str
) -> None:
    plant(live)
    told: list[str] = []
    run = retrain(live, CONFIG, if_due=True, tell=told.append)
    assert run.outcome == "refused" and message in run.explanation
    assert not run.is_good and message in told[0]
    assert list(statuses(live)) == [FIRST]
    assert [outcome for _, outcome in runs(live)] == ["refused"]


def test_tables_that_are_just_fresh_enough_are_taken(live: Home) -> None:
    change(live, "update build_info set as_of = as_of - interval 1440 minute")
    retraining._refuse_old_tables(live)


def test_a_model_that_fails_its_gates_stays_out_of_the_shadow(live: Home) -> None:
    change(live, "update deployment_gates set limit_value = 1000000")
    told: list[str] = []
    run = retrain(live, CONFIG, if_due=True, tell=told.append)
    assert (run.outcome, run.model_id) == ("gates_failed", SECOND)
    assert "test_rows: Failed: row count is" in run.explanation
    assert not run.is_good and "gates_failed" in told[0]
    assert statuses(live) == {FIRST: "production", SECOND: "training"}
    config, _ = serving.read_config(serving.open_serving(live))
    assert config.staging_model is None
    change(live, "update deployment_gates set limit_value = 100")
    assert retrain(live, CONFIG, if_due=True).outcome == "not_due", "judged for good"


def test_two_runs_at_once_are_one(live: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    is_training, may_go_on = threading.Event(), threading.Event()
    train, first = training.train, []

    def slow(*arguments: Any, **options: Any) -> training.Trained:
        is_training.set()
        assert may_go_on.wait(60)
        return train(*arguments, **options)

    monkeypatch.setattr(training, "train", slow)
    thread = threading.Thread(target=lambda: first.append(retrain(live, CONFIG)))
    thread.start()
    assert is_training.wait(60)
    second = retrain(live, CONFIG)
    assert second.outcome == "refused"
    assert second.explanation.startswith("Another retraining is running.")
    may_go_on.set()
    thread.join(120)
    assert first[0].outcome == "registered"
    assert [outcome for _, outcome in runs(live)] == ["refused", "registered"]


# failures


def test_what_failed_is_recorded_and_done_by_the_next_run(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise UserError("No network.")

    with monkeypatch.context() as patch:
        patch.setattr(deployment, "deploy", fails)
        run = retrain(live, CONFIG, if_due=True)
    assert (run.outcome, run.explanation) == ("failed", "No network.")
    assert not run.is_good
    again = retrain(live, CONFIG, if_due=True)
    assert (again.trigger, again.outcome) == ("unfinished_run", "registered")
    assert again.model_id == run.model_id == SECOND, "no second model"
    assert_in_shadow(live, SECOND)
    assert retrain(live, CONFIG, if_due=True).outcome == "not_due"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("by zero")])
def test_an_interrupt_and_a_bug_are_recorded_and_not_hidden(
    live: Home, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def raises(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(training, "train", raises)
    told: list[str] = []
    with pytest.raises(type(error)):
        retrain(live, CONFIG, tell=told.append)
    assert [outcome for _, outcome in runs(live)] == ["failed"]
    assert ("by zero" in told[0]) or ("interrupted" in told[0])


def test_an_untold_run_is_no_good_one(live: Home) -> None:
    def tell(_: str) -> None:
        raise Untold("The webhook is silent.")

    run = retrain(live, CONFIG, tell=tell)
    assert (run.outcome, run.untold) == ("registered", "The webhook is silent.")
    assert not run.is_good
    assert_in_shadow(live, SECOND)


# kills


def child(root: Path, at: int | None, report: Path | None) -> None:
    os.environ["NBA_ML_AS_OF"] = small_warehouse.NOON
    kill = Kill(at)
    kill.install()
    retrain(Home(root), CONFIG, if_due=True)
    if report:
        report.write_text(json.dumps(kill.seen))


def run_child(root: Path, at: int | None, report: Path | None = None) -> int | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nba_ml.retraining", "pandas", "duckdb"])
    process = context.Process(target=child, args=(root, at, report))
    process.start()
    process.join(timeout=120)
    return process.exitcode


@pytest.fixture(scope="module")
def operations(deployed: Home, tmp_path_factory: pytest.TempPathFactory) -> int:
    """What a whole run does to disks: files written or deleted, batches loaded."""
    root = tmp_path_factory.mktemp("counted")
    assert run_child(copied(deployed, root).root, None, root / "seen") == 0
    return len(json.loads((root / "seen").read_text()))


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.75, 1.0])
def test_a_killed_run_is_done_by_the_next_one(
    live: Home, operations: int, share: float
) -> None:
    at = max(round(share * operations), 2)  # the first takes the lock
    assert run_child(live.root, at) == -signal.SIGKILL
    serves = lineup.load(live).config.production_model
    assert serves and serves.model_id == FIRST
    run = retrain(live, CONFIG, if_due=True)
    assert run.outcome == "registered" and "unfinished_run" in run.trigger
    assert_in_shadow(live, SECOND)
    assert list(statuses(live)) == [FIRST, SECOND], "one new model"
    assert ("by_hand", "failed") in runs(live), "the one that died"
    assert retrain(live, CONFIG, if_due=True).outcome == "not_due"


# the command


def test_the_command_prints_the_run_and_ends_with_its_worth(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def answer(home: Home, config: Any, if_due: bool, tell: Any, *_: Any) -> Run:
        asked.append((if_due, tell))
        if tell:
            tell("A message.")
        return Run(outcome=outcome, explanation="As it went.", model_id=FIRST)

    posted: list[tuple[str, str]] = []
    monkeypatch.setattr(retraining, "retrain", answer)
    monkeypatch.setattr(alerting, "post", lambda *message: posted.append(message))
    codes = {
        "registered": 0,
        "not_due": 0,
        "refused": 1,
        "gates_failed": 1,
        "failed": 1,
    }
    for outcome, code in codes.items():
        done = CliRunner().invoke(cli, ["retrain", "--if-due"])
        assert done.exit_code == code, outcome
        assert done.stdout == f"{outcome} (by_hand): As it went.\n"
    assert asked == [(True, None)] * 5
    done = CliRunner().invoke(cli, ["retrain", "--json", "--webhook", "http://x/y"])
    assert json.loads(done.stdout)["model_id"] == FIRST
    assert posted == [("http://x/y", "A message.")]
    assert spool.pending(live.spool) == []
