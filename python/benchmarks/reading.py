"""Reading the training set into a frame, and comparing two feature stores."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from statistics import median

import duckdb
import pandas as pd

import pandas_features
from nba_ml.settings import Home
from nba_ml.warehouse import DuckDB

ROWS = 80_000
TOLERANCE = 1e-6


def ways(home: Home, as_of: date, runs: int) -> tuple[int, dict[str, float]]:
    """The newest 80,000 training rows, whole dates: how many, and seconds by way."""
    warehouse = DuckDB(home.warehouse)
    dates = warehouse.read("select game_date from training_set_v1 order by 1 desc")
    first = dates["game_date"].iloc[min(ROWS, len(dates)) - 1]
    query = "select * from training_set_v1 where game_date >= ?"
    frame = warehouse.read(query, [first])
    csv, parquet = home.root / "training_set.csv", home.root / "training_set.parquet"
    frame.to_csv(csv, index=False)
    frame.to_parquet(parquet)
    types = frame.dtypes.drop("game_date").to_dict()

    def recompute() -> pd.DataFrame:
        games = pandas_features.build(home.raw, as_of)
        regular = games["season_type"] == "regular"
        experienced = games["prior_games"] >= 10
        return games[regular & experienced & (games["game_date"] >= first)]

    readers = {
        "nba_ml.warehouse": lambda: warehouse.read(query, [first]),
        "pandas.read_csv": lambda: pd.read_csv(
            csv, dtype=types, parse_dates=["game_date"]
        ),
        "pandas.read_parquet": lambda: pd.read_parquet(parquet),
        "features again by pandas": recompute,
    }
    seconds: dict[str, list[float]] = {way: [] for way in readers}
    for _ in range(runs):
        for way, read in readers.items():
            started = time.perf_counter()
            rows = len(read())
            seconds[way].append(time.perf_counter() - started)
            if rows != len(frame):
                raise SystemExit(f"{way} gives {rows} rows, not {len(frame)}.")
    return len(frame), {way: median(times) for way, times in seconds.items()}


def count(home: Home, table: str) -> int:
    """How many rows a table has."""
    found = DuckDB(home.warehouse).read(f"select count(*) as n from {table}")
    return int(found["n"].iloc[0])


def differences(home: Home, features: Path) -> str:
    """How far the played games of the store and those of a Parquet file agree.

    Rows with composite factors of the user's own are left out.
    """
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        connection.execute(
            "create temp view ours as from nba_ml.feature_store_v1"
            " where not is_scheduled and composite_source = 'computed';"
            f"create temp view theirs as from read_parquet('{features}')"
        )
        columns = connection.sql("from ours").columns
        names = columns[columns.index("composite_source") + 1 :]
        differ = " + ".join(
            f"count(case when (ours.{name} is null) <> (theirs.{name} is null)"
            f" or abs(ours.{name} - theirs.{name}) > {TOLERANCE} then 1 end)"
            for name in names
        )
        [(rows, values, lost)] = connection.sql(
            f"select count(theirs.game_id), {differ}, count(*) - count(theirs.game_id)"
            " from ours left join theirs using (game_id, player_lookup)"
        ).fetchall()
    return (
        f"Compared before timing: {rows:,} rows x {len(names)} features, "
        f"{values:,} mismatches beyond {TOLERANCE:g}, {lost:,} rows without partner."
    )
