"""A clock in the past: what is trained and predicted then knows nothing of later."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

import small_warehouse
from nba_ml import prediction, settings, training
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve
from nba_ml.training import Trained
from nba_ml.warehouse import DuckDB

CLOCK = "2024-03-01T12:00:00"
SINCE = date(2024, 3, 1)


@pytest.fixture
def then(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("NBA_ML_AS_OF", CLOCK)
    return home


def train(home: Home) -> Trained:
    return training.train(home, small_warehouse.config())


def artefact_of(home: Home, done: Trained) -> bytes:
    store, name = resolve(home, f"staging/{done.model_id}.json")
    return store.read(name)[0]


def forget(home: Home) -> None:
    """The games of the clock's date and later, turned into nonsense."""
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            "update nba_ml.training_set_v1 set target_points = 60,"
            " points_avg_last_5 = 1 where game_date >= ?",
            [SINCE],
        )


def test_a_model_is_of_its_clock(then: Home) -> None:
    manifest = train(then).manifest
    assert manifest.as_of == manifest.created_at == CLOCK
    assert manifest.training["end"] < "2024-03-01"
    [event] = (
        DuckDB(then.warehouse)
        .read("select * from model_events where event_type = 'trained'")
        .to_dict("records")
    )
    assert event["as_of"] == event["event_at"] == pd.Timestamp(CLOCK)


def test_games_after_the_clock_change_no_model(
    then: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = artefact_of(then, train(then))
    forget(then)
    after = training.train(then, small_warehouse.config(), force=True)
    assert artefact_of(then, after) == before
    # and once the clock has passed them they do: the check can fail
    monkeypatch.setenv("NBA_ML_AS_OF", "2024-03-30T12:00:00")
    assert artefact_of(then, train(then)) != before


def test_the_leagues_date_is_that_of_the_east() -> None:
    # 04:59 UTC is still the evening before in winter, and after midnight in summer
    assert settings.league_date(datetime(2024, 1, 10, 4, 59)) == date(2024, 1, 9)
    assert settings.league_date(datetime(2024, 1, 10, 5)) == date(2024, 1, 10)
    assert settings.league_date(datetime(2024, 7, 10, 4)) == date(2024, 7, 10)


def test_every_past_day_is_predicted_as_if_it_were_today(then: Home) -> None:
    train(then)
    done = prediction.replay(then, SINCE)
    graded = DuckDB(then.warehouse).read("select * from prediction_accuracy")
    played = DuckDB(then.warehouse).read(
        "select * from training_set where game_date >= ?", [SINCE]
    )
    assert done.predictions == len(graded) == len(played) > 0
    assert done.game_days == played["game_date"].nunique()
    assert done.first_date == played["game_date"].min().date()
    assert set(graded["mode"]) == {"replay"}
    clock = graded["predicted_at"] - graded["game_date"]
    assert set(clock) == {pd.Timedelta(hours=12)}
    assert set(graded["void_reason"].dropna()) == set()


def test_a_repeated_replay_adds_nothing(then: Home) -> None:
    train(then)
    once = prediction.replay(then, SINCE)
    prediction.replay(then, SINCE)
    log = DuckDB(then.warehouse).read("select count(*) as n from prediction_log")
    assert log["n"].iloc[0] == once.predictions


def test_a_day_that_the_model_has_seen_is_refused(then: Home) -> None:
    train(then)
    with pytest.raises(UserError, match=r"learnt by heart. Use --since 2024-03-01"):
        prediction.replay(then, date(2024, 2, 29))
    log = DuckDB(then.warehouse).read("select count(*) as n from prediction_log")
    assert log["n"].iloc[0] == 0


def test_a_span_without_games_is_said(then: Home) -> None:
    train(then)
    with pytest.raises(UserError, match="no played regular-season game from 2030-01"):
        prediction.replay(then, date(2030, 1, 1))


def test_command(then: Home) -> None:
    train(then)
    runner = CliRunner()
    shown = runner.invoke(cli, ["predict", "--since", "2024-03-01"])
    assert shown.exit_code == 0, shown.output
    assert "by xgboost_v1.0.0 (replay)" in shown.stdout
    for wrong in (
        ["--since", "2024-03-01", "--date", "2024-03-01"],
        ["--since", "2024-03-01", "--mode", "live"],
        ["--until", "2024-03-01"],
    ):
        assert runner.invoke(cli, ["predict", *wrong]).exit_code == 2
