"""A small warehouse with a known signal, for tests that need no feature store.

The tables that dbt builds from games are stood in for by frames; event tables and
the registry's views are the project's own, built by dbt.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from nba_ml import training
from nba_ml.settings import PROJECT, Home
from nba_ml.warehouse import DuckDB, Warehouse

FEATURES = {
    "points_avg_last_5": (0.0, 70.0),
    "points_avg_last_10": (0.0, 70.0),
    "minutes_avg_last_10": (0.0, 53.0),
    "is_home": (0.0, 1.0),
    "opponent_def_rating": (70.0, 140.0),
    "noise": (None, None),
}
TEAMS = {"ATL": "BOS", "BOS": "ATL", "CHI": "DEN", "DEN": "CHI", "MIA": "NYK"}
TEAMS |= {"NYK": "MIA"}
HOSTS = ("BOS", "DEN", "NYK")
SLATE = pd.Timestamp("2024-03-30")
NOON = "2024-03-30T12:00:00"
OUTCOMES = ["target_points", "minutes_played", "tier", "season_average"]
BUILT_BY_DBT = [
    *("model_events", "model_metrics", "feature_baselines", "feature_importance"),
    *("test_predictions", "season_phases", "model_transitions", "model_live_periods"),
    *("model_registry", "model_lineage", "model_comparison", "prediction_log"),
    *("request_log", "pregame_predictions", "prediction_accuracy"),
    *("deployment_gates", "model_gates", "model_calibration", "importance_comparison"),
    *("backtest_results", "backtest_outcomes", "backtest_performance"),
    "backtest_comparison",
]

WATCHED = [
    *("retraining_runs", "alert_messages", "health_checks", "retraining_limits"),
    *("retraining_triggers", "retraining_obstacles", "alert_changes"),
    *("watch_limits", "deployment_watch"),
]


def change(warehouse: Warehouse, sql: str, parameters: Sequence[Any] = ()) -> None:
    """Run one statement for its effect, which the product never does."""
    if isinstance(warehouse, DuckDB):
        with warehouse._open(read_only=False) as connection:
            connection.execute(sql, parameters)
    else:
        warehouse._query(sql, parameters)


def games(seed: int = 7) -> pd.DataFrame:
    """Rows of a feature store with outcomes; the last date is scheduled."""
    generator = np.random.default_rng(seed)
    players = pd.DataFrame(
        {
            "player_lookup": [f"player{i:02d}" for i in range(60)],
            "team_abbr": np.repeat(list(TEAMS), 10),
            "ability": generator.gamma(4, 3, 60),
        }
    )
    starts = ("2022-10-20", "2023-10-20")
    days = [d for start in starts for d in pd.date_range(start, periods=80, freq="2D")]
    frame = pd.DataFrame({"game_date": [*days, SLATE]}).merge(players, how="cross")
    appears = (generator.random(len(frame)) < 0.9) | (frame["game_date"] == SLATE)
    frame = frame[appears].reset_index(drop=True)
    count = len(frame)
    day, team = frame["game_date"], frame["team_abbr"]
    home = team.isin(HOSTS)
    other = team.map(TEAMS)
    code = day.dt.strftime("%Y%m%d") + "_"
    ability = frame.pop("ability")

    def noisy(deviation: float) -> np.ndarray:
        return generator.normal(0, deviation, count)

    minutes = 8 + 1.5 * ability
    frame = frame.assign(
        game_id=code + team.where(~home, other) + "_" + team.where(home, other),
        opponent_team_abbr=other,
        season_year=day.dt.year - (day.dt.month < 9),
        season_type="regular",
        feature_version="v1",
        is_scheduled=day == SLATE,
        games_played_prior=frame.groupby("player_lookup").cumcount() + 10,
        feature_quality_score=1.0,
        points_avg_last_5=np.clip(ability + noisy(3), 0, 60),
        points_avg_last_10=np.clip(ability + noisy(2), 0, 60),
        minutes_avg_last_10=np.clip(minutes, 0, 40),
        is_home=home.astype("int64"),
        back_to_back=frame.groupby("player_lookup").cumcount() % 4 // 3,
        opponent_def_rating=112 + noisy(4),
        noise=np.where(generator.random(count) < 0.1, np.nan, 1.0),
        minutes_played=np.clip(minutes + noisy(5), 1, 48),
        tier=np.select(
            [ability < 6, ability < 12, ability < 20],
            ["bench", "role", "starter"],
            "star",
        ),
    )
    expected = ability + 2 * home + 0.3 * (frame["opponent_def_rating"] - 112)
    frame["target_points"] = np.clip(expected + noisy(5), 0, 70).round().astype("int64")
    frame["season_average"] = frame["points_avg_last_10"]
    frame["points_avg_season"] = frame["season_average"]
    return frame


def _availability_source(teams: pd.DataFrame) -> np.ndarray:
    is_last_game = teams["game_id"] == teams["game_id"].iloc[-1]
    is_slate = teams["game_date"] == teams["game_date"].iloc[-1]
    return np.select([~is_slate, is_last_game], ["box_score", "report"], "none")


def load(path: Path, frame: pd.DataFrame, as_of: str = "2024-03-30 12:00:00") -> None:
    """(Re)write the tables that stand in for the feature store."""
    keys = ["game_id", "player_lookup", "game_date"]
    limits = pd.DataFrame.from_dict(
        FEATURES, orient="index", columns=["range_min", "range_max"]
    )
    tables = {
        "feature_store_v1": frame.drop(columns=OUTCOMES),
        "training_set_v1": frame[~frame["is_scheduled"]].drop(columns="season_average"),
        "baseline_predictions": frame[[*keys, "season_average"]].assign(
            rule=frame["points_avg_last_10"] + 0.5,
            last_5=frame["points_avg_last_5"],
            last_10=frame["points_avg_last_10"],
        ),
        "stg_game_schedule": frame[
            ["game_id", "game_date", "season_year", "season_type", "is_scheduled"]
        ]
        .drop_duplicates()
        .assign(tip_off_at=pd.Timestamp("NaT")),
        "stg_player_game_summary": frame[~frame["is_scheduled"]][
            [*keys, "target_points"]
        ]
        .rename(columns={"target_points": "points"})
        .assign(is_played=True, is_partial=False),
        # one game has a report, the others of the slate have none
        "int_availability_sources": frame[["game_id", "game_date", "team_abbr"]]
        .drop_duplicates()
        .assign(availability_source=_availability_source),
    }
    catalog = limits.rename_axis("feature_name").reset_index()
    catalog = catalog.assign(
        feature_version="v1",
        feature_order=range(len(catalog)),
        feature_group=catalog["feature_name"].str.split("_").str[0],
        description="What it means.",
        requires=pd.Series(None, catalog.index, dtype="string"),
    )
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists nba_ml; set schema = 'nba_ml'")
        for name, rows in tables.items():
            connection.register("rows_of_table", rows)
            connection.execute(
                f"create or replace table {name} as select * replace"
                " (cast(game_date as date) as game_date) from rows_of_table"
            )
        # dates of its own would make those of the store ambiguous
        connection.execute("alter table int_availability_sources drop game_date")
        connection.execute(
            "create or replace table feature_catalog as from catalog;"
            "create or replace view feature_store as from feature_store_v1;"
            "create or replace view training_set as from training_set_v1;"
            "create or replace table build_info as select"
            f" timestamp '{as_of}' as as_of, date '{as_of[:10]}' as as_of_date,"
            f" timestamp '{as_of}' as built_at,"
            " 'invocation' as dbt_invocation_id;"
            # it reads every feature of the real store
            "create or replace table parity_mismatches (prediction_id varchar,"
            " model_id varchar, mode varchar, game_id varchar, player_lookup varchar,"
            " feature_name varchar, served_value double, stored_value double,"
            " reason varchar, predicted_at timestamp)"
        )


def add_second_version(home: Home) -> tuple[str, ...]:
    """A v2 of the store beside v1, without `noise`, and with a feature of its own."""
    names = (*(name for name in FEATURES if name != "noise"), "is_away")
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("set schema = 'nba_ml'")
        for table in ("feature_store", "training_set"):
            connection.execute(
                f"create or replace table {table}_v2 as select * exclude (noise)"
                " replace ('v2' as feature_version), 1 - is_home as is_away"
                f" from {table}_v1"
            )
        connection.executemany(
            "insert into feature_catalog by name select ? as feature_name,"
            " 'v2' as feature_version, ? as feature_order",
            [(name, order) for order, name in enumerate(names)],
        )
    return names


def dbt(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt on `home`'s warehouse, with target and logs inside of `home`."""
    folders = ["--target-path", str(home.root / "target")]
    folders += ["--log-path", str(home.root / "logs"), "--project-dir", str(PROJECT)]
    return subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *arguments, *folders],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env=environment(home) | {"DBT_PROFILES_DIR": str(PROJECT / "profiles")},
    )


def environment(home: Home) -> dict[str, str]:
    """This process's environment, pointed at `home`."""
    return {**os.environ, "NBA_ML_HOME": str(home.root)}


def build(home: Home) -> None:
    """The whole small warehouse; event tables empty."""
    home.root.mkdir(parents=True, exist_ok=True)
    load(home.warehouse, games())
    kinds = ["--resource-type", "model", "--resource-type", "seed"]
    done = dbt(home, "build", *kinds, "--select", *BUILT_BY_DBT)
    assert done.returncode == 0, done.stdout


LATER = datetime(2100, 1, 1)  # a clock after all games


def build_watched(home: Home) -> None:
    """What watches models, too, at the present clock; there are no alerts."""
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            # it reads what the real store, its predictions and its grades become
            "create table nba_ml.alerts (alert_id varchar, rule varchar,"
            " severity varchar, area varchar, subject varchar, model_id varchar,"
            " opened_on date, last_seen_on date, closed_on date, is_open boolean,"
            " explanation varchar, remedy varchar)"
        )
    kinds = ["--resource-type", "model", "--resource-type", "seed"]
    done = dbt(home, "build", *kinds, "--select", *WATCHED)
    assert done.returncode == 0, done.stdout


def config() -> training.Config:
    """The project's configuration, but of version 1, with few and fast trees."""
    found = training.read_config(PROJECT / "python/config/training.yml")
    return replace(
        found,
        feature_version="v1",
        earlier_seasons=False,
        num_boost_round=40,
        early_stopping_rounds=5,
        parameters={**found.parameters, "learning_rate": 0.2, "colsample_bytree": 1.0},
    )
