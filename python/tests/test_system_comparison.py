"""The user's graded history beside our model, against the same figures by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import small_warehouse
from nba_ml.settings import Home
from nba_ml.warehouse import DuckDB

MODELS = ("stg_prediction_history", "pregame_predictions")
MODELS += ("compared_predictions", "system_comparison")
CLOCK = "2024-03-30T12:00:00"


@pytest.fixture
def compared_home(trained_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A registered model, and a history with doubles, voids and gaps beside it."""
    monkeypatch.setenv("NBA_ML_AS_OF", CLOCK)
    tested = DuckDB(trained_home.warehouse).read("select * from test_predictions")
    random = np.random.default_rng(5)
    count = len(tested)
    noise = random.normal(1, 6, count).round(1)
    history = tested[["player_lookup", "game_id", "game_date"]].assign(
        system_id="theirs",
        predicted_points=tested["actual_points"] + noise,
        actual_points=tested["actual_points"] + (random.random(count) < 0.02),
        is_voided=random.random(count) < 0.05,
        graded_at=tested["game_date"] + pd.Timedelta(hours=30),
    )
    history = history.sample(frac=0.8, random_state=5)
    older = history.sample(frac=0.3, random_state=6)
    older = older.assign(
        predicted_points=0.0, graded_at=older["graded_at"] - pd.Timedelta(hours=1)
    )
    trained_home.raw.mkdir(exist_ok=True)
    pd.concat([older, history, history.tail(9)]).to_parquet(
        trained_home.raw / "prediction_accuracy.parquet", index=False
    )
    history.to_pickle(trained_home.root / "history.pkl")
    return trained_home


def test_figures_and_interval_are_those_of_pandas(compared_home: Home) -> None:
    done = small_warehouse.dbt(
        compared_home, "build", "--select", *MODELS, "--exclude", "test_type:unit"
    )
    assert done.returncode == 0, done.stdout
    warehouse = DuckDB(compared_home.warehouse)
    found = warehouse.read("select * from system_comparison").set_index("population")
    history = pd.read_pickle(compared_home.root / "history.pkl")
    keys = ["game_id", "player_lookup"]
    rows = history[~history["is_voided"]].merge(
        warehouse.read("select * from test_predictions"),
        on=keys,
        suffixes=("_system", "_model"),
    )
    baselines = warehouse.read("select * from baseline_predictions")
    rows = rows.merge(baselines.drop(columns="game_date"), on=keys)
    actual = rows["actual_points_model"]
    names = ["system", "model", "rule", "last_5", "last_10", "season_average"]
    rows = rows.rename(columns=lambda name: name.removeprefix("predicted_points_"))
    error = {f"{name}_mae": (rows[name] - actual).abs() for name in names}
    difference = error["model_mae"] - error["system_mae"]
    mean = difference.mean()
    # the cluster-robust variance as textbooks write it, residuals summed by player
    sums = (difference - mean).groupby(rows["player_lookup"]).sum()
    count = len(sums)
    deviation = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(rows)
    expected = {name: values.mean() for name, values in error.items()} | {
        "mae_difference": mean,
        "mae_difference_low": mean - 1.96 * deviation,
        "mae_difference_high": mean + 1.96 * deviation,
        "system_bias": (rows["system"] - actual).mean(),
        "model_bias": (rows["model"] - actual).mean(),
        "outcome_disagreements": (rows["actual_points_system"] != actual).sum(),
        "n": len(rows),
        "players": count,
    }
    one = found.loc["all"]
    assert one["n"] > 1000 and one["outcome_disagreements"] > 0
    assert one[list(expected)].astype(float).to_dict() == pytest.approx(
        expected, abs=1e-3
    )
    by_tier = found.loc[found.index.str.startswith("tier_"), "n"].sum()
    assert by_tier == found.loc["graded_day_by_day", "n"] == len(rows)


def test_violations_are_found(compared_home: Home) -> None:
    built = small_warehouse.dbt(compared_home, "run", "--select", *MODELS)
    assert built.returncode == 0, built.stdout
    small_warehouse.change(
        DuckDB(compared_home.warehouse),
        "insert into baseline_predictions select * from baseline_predictions;"
        "update training_set_v1 set tier = null, target_points = 111",
    )
    chosen = ["--select", *MODELS, "--exclude", "test_type:unit"]
    broken = small_warehouse.dbt(compared_home, "test", *chosen)
    assert broken.returncode == 1
    for guard in (
        "unique_combination_compared_predictions",
        "within_range_compared_predictions_actual_points",
        "accepted_values_system_comparison_population",
    ):
        assert f"Failure in test {guard}" in broken.stdout, (guard, broken.stdout)
