"""Who is served by the challenger, and what came of it, against hashlib and pandas."""

from __future__ import annotations

import csv
import hashlib
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
import pytest

import small_warehouse
from nba_ml import registry, spool
from nba_ml.settings import PROJECT, Home
from nba_ml.warehouse import DuckDB

VECTORS = PROJECT / "seeds/experiment_bucket_vectors.csv"
GOLDEN = "assert_experiment_bucket__golden_vectors"
EXPERIMENT = ("experiment_periods", "experiment_predictions", "experiment_results")
MODELS = ("model_transitions", "model_live_periods", "pregame_predictions", *EXPERIMENT)
CHAMPION, CHALLENGER = "xgboost_v1.0.0", "xgboost_v1.1.0"
SHARE = 0.3
SPLIT = registry.canonical({"traffic_split": SHARE, "mode": "split"})
BASELINES = ["rule", "last_5", "last_10", "season_average"]


def bucket(experiment: str, player_lookup: str) -> float:
    digits = hashlib.md5(f"{experiment}:{player_lookup}".encode()).hexdigest()[:8]
    return int(digits, 16) / 2**32


def test_vectors_are_those_of_hashlib() -> None:
    with VECTORS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 10
    for row in rows:
        found = bucket(row["experiment"], row["player_lookup"])
        assert found == float(row["bucket"]), row


def test_sql_gives_the_vectors_and_a_wrong_one_is_found(home: Home) -> None:
    chosen = ["--select", "experiment_bucket_vectors", GOLDEN]
    built = small_warehouse.dbt(home, "build", *chosen)
    assert built.returncode == 0, built.stdout
    small_warehouse.change(
        DuckDB(home.warehouse),
        "update experiment_bucket_vectors set bucket = bucket + 1 / 4294967296"
        " where player_lookup = 'stephencurry'",
    )
    broken = small_warehouse.dbt(home, "test", "--select", GOLDEN)
    assert broken.returncode == 1
    assert "Got 1 result" in broken.stdout, broken.stdout


@pytest.fixture(scope="module")
def buckets(simulated_home: Home) -> pd.DataFrame:
    """Players of the simulated league by experiment."""
    scores = pd.read_parquet(simulated_home.raw / "player_game_summary.parquet")
    names = scores["player_lookup"].unique()
    experiments = [f"xgboost_v1.{minor}.0" for minor in range(20)]
    return pd.DataFrame({e: [bucket(e, name) for name in names] for e in experiments})


def test_buckets_are_uniform_and_a_tenth_is_challenged(buckets: pd.DataFrame) -> None:
    values = buckets.to_numpy().ravel()
    assert len(values) > 10_000 and values.min() >= 0 and values.max() < 1
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    expected = len(values) / 20
    # 19 degrees of freedom, p = 0.001
    assert ((counts - expected) ** 2 / expected).sum() < 43.8
    deviation = np.sqrt(0.1 * 0.9 / len(buckets))
    for experiment in buckets:
        assert abs((buckets[experiment] < 0.1).mean() - 0.1) < 3.29 * deviation
    shared = (values < 0.1).mean()
    assert abs(shared - 0.1) < 3.29 * np.sqrt(0.1 * 0.9 / len(values))


def test_two_experiments_are_independent(buckets: pd.DataFrame) -> None:
    one, other = buckets.iloc[:, 0], buckets.iloc[:, 1]
    counts, _, _ = np.histogram2d(one, other, bins=4, range=[(0, 1)] * 2)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    # 9 degrees of freedom, p = 0.001
    assert ((counts - expected) ** 2 / expected).sum() < 27.9


@pytest.fixture
def experiment_home(trained_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Two models, live from November to January: a split, then shadow."""
    monkeypatch.setenv("NBA_ML_AS_OF", "2024-03-30T12:00:00")

    def event(kind: str, model_id: str, at: str, **columns: str) -> spool.Event:
        moment = datetime.fromisoformat(at)
        return registry.model_event(kind, model_id, at=moment, **columns)

    # the trained model's own event is of the clock of its training
    with duckdb.connect(str(trained_home.warehouse)) as connection:
        connection.execute(
            "update nba_ml.model_events set event_at = timestamp '2022-01-01'"
        )
    events = [
        event("staged", CHAMPION, "2022-10-01"),
        event("promoted", CHAMPION, "2022-10-02"),
        event("trained", CHALLENGER, "2023-10-01"),
        event("staged", CHALLENGER, "2023-11-01", details=SPLIT),
        event("retired", CHALLENGER, "2024-02-01"),
    ]
    spool.write(trained_home.spool, events)
    assert spool.sync(trained_home).problems == []
    log = logged(trained_home)
    with duckdb.connect(str(trained_home.warehouse)) as connection:
        connection.register("log", log)
        connection.execute("insert into nba_ml.prediction_log by name from log")
    return trained_home


def logged(home: Home) -> pd.DataFrame:
    """What both would have logged at noon, before and after their time, too."""
    games = DuckDB(home.warehouse).read(
        "select game_id, player_lookup, game_date, points from stg_player_game_summary"
        " where game_date >= date '2023-10-20'"
    )
    random = np.random.default_rng(3)
    parts = []
    for model_id, variant in ((CHAMPION, "production"), (CHALLENGER, "staging")):
        buckets = games["player_lookup"].map(lambda name: bucket(CHALLENGER, name))
        is_its_own = (buckets < SHARE) == (variant == "staging")
        is_shadow = games["game_date"] >= "2024-01-01"
        rows = games[is_its_own | is_shadow]
        noise = random.normal(0.5, 5, len(rows)).round(2)
        parts.append(
            rows.drop(columns="points").assign(
                model_id=model_id,
                variant=variant,
                mode="live",
                predicted_points=rows["points"] + noise,
                predicted_at=rows["game_date"] + pd.Timedelta(hours=12),
            )
        )
    log = pd.concat(parts, ignore_index=True)
    return log.assign(prediction_id=log.index.astype(str))


def clustered(values: pd.Series, players: pd.Series) -> float:
    """The standard error of a mean as textbooks write it."""
    sums = (values - values.mean()).groupby(players).sum()
    count = len(sums)
    return float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values))


def test_results_are_those_of_pandas(experiment_home: Home) -> None:
    chosen = ["--select", *MODELS, "--exclude", "test_type:unit"]
    done = small_warehouse.dbt(experiment_home, "build", *chosen)
    assert done.returncode == 0, done.stdout
    warehouse = DuckDB(experiment_home.warehouse)
    results = warehouse.read("select * from experiment_results").set_index("kind")
    assert sorted(results.index) == ["shadow", "split"]
    outcomes = warehouse.read("select * from stg_player_game_summary")
    keys = ["game_id", "player_lookup"]
    rows = logged(experiment_home).merge(outcomes[[*keys, "points"]], on=keys)
    baselines = warehouse.read("select * from baseline_predictions").dropna()
    rows = rows.merge(baselines[[*keys, *BASELINES]], on=keys, how="left")
    rows = rows[rows["game_date"].between("2023-11-01", "2024-01-31")]
    rows["bias"] = rows["predicted_points"] - rows["points"]
    rows["error"] = rows["bias"].abs()
    is_shadow = rows["game_date"] >= "2024-01-01"
    for kind, part in (("shadow", rows[is_shadow]), ("split", rows[~is_shadow])):
        variants = dict(list(part.groupby("variant")))
        players = part["player_lookup"].nunique()
        of_staging = variants["staging"]["player_lookup"].nunique()
        days = part["game_date"].nunique()
        if kind == "shadow":
            wide = part.pivot(index=keys, columns="variant", values="error")
            values = wide["staging"] - wide["production"]
            by_player = values.index.get_level_values("player_lookup").to_series()
            error = clustered(values.reset_index(drop=True), by_player.array)
            assert pd.isna(results.loc[kind, "sample_ratio_z"])
        else:
            errors = [
                clustered(v["error"], v["player_lookup"]) for v in variants.values()
            ]
            error = float(np.hypot(*errors))
            z = (of_staging - players * SHARE) / np.sqrt(players * SHARE * (1 - SHARE))
            assert results.loc[kind, "sample_ratio_z"] == pytest.approx(z, abs=1e-9)
            assert not results.loc[kind, "has_sample_ratio_mismatch"]
        graded = part.drop_duplicates(keys).dropna(subset=BASELINES)
        naive = graded[BASELINES].sub(graded["points"], axis=0).abs().mean()
        means = {f"{name}_mae": v["error"].mean() for name, v in variants.items()}
        difference = means["staging_mae"] - means["production_mae"]
        expected = means | naive.add_suffix("_mae").to_dict()
        expected |= {
            "baseline_n": len(graded),
            "expected_staging_share": SHARE if kind == "split" else np.nan,
            "mae_difference": difference,
            "mae_difference_low": difference - 1.96 * error,
            "mae_difference_high": difference + 1.96 * error,
            "production_bias": variants["production"]["bias"].mean(),
            "staging_bias": variants["staging"]["bias"].mean(),
            "production_n": len(variants["production"]),
            "staging_n": len(variants["staging"]),
            "players": players,
            "staging_players": of_staging,
            "game_days": days,
            "more_game_days_needed": np.ceil(days * ((2.8 * error / 0.05) ** 2 - 1)),
        }
        found = results.loc[kind, list(expected)].astype(float).to_dict()
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True), kind
        assert len(part) > 500 and of_staging >= 10


def test_violations_are_found(experiment_home: Home) -> None:
    warehouse = DuckDB(experiment_home.warehouse)
    # a game graded twice, a forecast out of this world, an outcome like no other
    small_warehouse.change(
        warehouse,
        "insert into stg_player_game_summary from stg_player_game_summary;"
        "update stg_player_game_summary set points = 111;"
        "update prediction_log set predicted_points = 500;"
        "update baseline_predictions set rule = 500;"
        "update model_events set details = replace(details, '0.3', '-0.3');"
        "insert into prediction_log from prediction_log where prediction_id = '1000'",
    )
    chosen = ["--select", *MODELS, "request_log"]
    built = small_warehouse.dbt(experiment_home, "run", *chosen)
    assert built.returncode == 0, built.stdout
    small_warehouse.change(
        warehouse,
        "insert into request_log values"
        " ('twice', '/predict', 200, 1, 1.5, timestamp '2024-01-01', null),"
        " ('twice', null, 99, -1, -0.5, null, null),"
        " (null, '/predict', 600, 1, 1, null, null)",
    )
    names = [*chosen, "--exclude", "test_type:unit"]
    broken = small_warehouse.dbt(experiment_home, "test", *names)
    assert broken.returncode == 1
    for guard in (
        "unique_combination_experiment_predictions",
        "within_range_experiment_predictions_actual_points",
        "within_range_experiment_results_True__production_mae",
        "within_range_experiment_results_True__staging_mae",
        "within_range_experiment_results_True__rule_mae",
        "within_range_experiment_results_True__expected_staging_share",
        "within_range_experiment_periods_True__traffic_split",
        "unique_pregame_predictions_prediction_id",
        "unique_request_log_request_id",
        "not_null_request_log_request_id",
        "not_null_request_log_route",
        "not_null_request_log_requested_at",
        "within_range_request_log_status",
        "within_range_request_log_row_count",
        "within_range_request_log_latency_ms",
    ):
        assert f"Failure in test {guard}" in broken.stdout, (guard, broken.stdout)
