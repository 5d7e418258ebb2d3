"""One real season on both engines, row for row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

import small_warehouse
from bigquery_emulator import TARGET, emulator
from engines import Engines
from nba_ml import prediction, spool, training
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home

REAL = Path(os.environ.get("NBA_ML_REAL_DATA", PROJECT.parent / "shared/data/nba"))
SEASON, LAST_DAY = 2022, "2023-04-09"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """The box scores of one season on both engines; the clock is its last noon."""
    if not list(REAL.glob("player_game_summary*.parquet")):
        pytest.fail(f"No real box scores in {REAL}. Set NBA_ML_REAL_DATA.")
    home = Home(tmp_path_factory.mktemp("real_engines"))
    season = home.root / "season/player_game_summary.parquet"
    season.parent.mkdir()
    duckdb.sql(
        f"copy (from '{REAL}/player_game_summary.parquet' where season_year = {SEASON}"
        f" and game_date <= '{LAST_DAY}') to '{season}' (format parquet)"
    )
    with (
        emulator(tmp_path_factory.mktemp("emulator")) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        both = Engines(home, running, f"{LAST_DAY}T12:00:00")
        for name, value in both.variables.items():
            patch.setenv(name, value)
        for target in ("duckdb", TARGET):
            done = CliRunner().invoke(
                cli, ["import", str(season), "--target", target], env={}
            )
            assert done.exit_code == 0, done.output
            both.dbt(target, "build", "--exclude-resource-types", "unit_test", "test")
        yield both


def test_every_relation_has_the_same_rows_on_both_engines(engines: Engines) -> None:
    assert [d for n in engines.relations() for d in engines.differences(n)] == []
    store = engines.bigquery.read(
        "select count(*) as n, count(distinct game_date) as days from feature_store_v1"
    )
    assert store["n"].iloc[0] > 25_000 and store["days"].iloc[0] > 150


def test_data_tests_hold_on_the_emulator(engines: Engines) -> None:
    engines.dbt(TARGET, "test", "--exclude-resource-types", "unit_test")


def test_train_register_and_predict_on_the_emulator(engines: Engines) -> None:
    home, config = Home(engines.home.root, TARGET), small_warehouse.config()
    trained = training.train(home, config)
    assert trained.model_id == "xgboost_v1.0.0" and trained.is_synced
    registered = engines.bigquery.read("select * from model_registry")
    assert list(registered["model_id"]) == ["xgboost_v1.0.0"]
    slate = prediction.predict(home)
    assert len(slate.rows) > 150 and slate.is_synced
    logged = engines.bigquery.read("select * from prediction_log")
    assert set(logged["prediction_id"]) == set(slate.rows["prediction_id"])
    assert spool.pending(home.spool) == []
    # the same frame on the other engine gives the same model
    frames = [
        training.read_frame(engine, config, small_warehouse.LATER)
        for engine in (engines.duckdb, engines.bigquery)
    ]
    pd.testing.assert_frame_equal(*frames, check_exact=True)
