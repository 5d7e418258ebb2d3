from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, evaluation, registry, settings, spool, training
from nba_ml.cli import cli
from nba_ml.evaluation import Levels
from nba_ml.settings import Home, UserError
from nba_ml.store import Store, resolve
from nba_ml.training import Split, Trained
from nba_ml.warehouse import DuckDB

CONFIG = settings.PROJECT / "python/config/training.yml"


def value_of(found: list[dict[str, Any]], **keys: str) -> dict[str, Any]:
    """The one metric row that has all of `keys`."""
    [row] = [r for r in found if all(r[key] == value for key, value in keys.items())]
    return row


def place_of(home: Home) -> tuple[Store, str]:
    return resolve(home, "staging/xgboost_v1.0.0.json")


def frame_of(home: Home) -> pd.DataFrame:
    return training.read_frame(
        DuckDB(home.warehouse), small_warehouse.config(), small_warehouse.LATER
    )


# configuration


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("depth", 6, "depth: Unexpected keyword argument"),
        ("parameters.max_dept", 6, "parameters.max_dept: Extra inputs"),
        (
            "parameters.max_depth",
            "6",
            "parameters.max_depth: .* valid integer, found '6'",
        ),
        ("parameters.max_depth", True, "valid integer, found True"),
        ("seed", 1.5, "seed: .* found 1.5"),
        ("earlier_seasons", "no", "valid boolean"),
        ("window.start", "October", "window.start: .* valid date"),
        ("window.end", date(2020, 1, 1), "before it starts"),
        ("split.test", 0.25, "shares of 1"),
        ("split", [0.7], "split: "),
        ("num_boost_round", 0, "num_boost_round: .* greater than 0"),
        ("objective", None, "objective: .* valid string"),
    ],
)
def test_config_is_checked(tmp_path: Path, path: str, value: Any, message: str) -> None:
    content = yaml.safe_load(CONFIG.read_text())
    *parents, last = path.split(".")
    part = content
    for name in parents:
        part = part[name]
    part[last] = value
    changed = tmp_path / "training.yml"
    changed.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message):
        training.read_config(changed)


def test_config_needs_every_key(tmp_path: Path) -> None:
    content = yaml.safe_load(CONFIG.read_text())
    del content["seed"]
    changed = tmp_path / "training.yml"
    changed.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="seed: Field required"):
        training.read_config(changed)
    with pytest.raises(UserError, match="no configuration"):
        training.read_config(tmp_path / "absent.yml")


def test_a_configuration_of_before_version_2_is_read(tmp_path: Path) -> None:
    content = yaml.safe_load(CONFIG.read_text())
    del content["unreported_share"]
    older = tmp_path / "training.yml"
    older.write_text(yaml.safe_dump(content))
    assert training.read_config(older).unreported_share == 0


# split


def test_split_is_by_date_and_ordered(built: Home) -> None:
    parts = training.split(frame_of(built), small_warehouse.config())
    days = [set(p["game_date"]) for p in (parts.train, parts.validation, parts.test)]
    assert not days[0] & days[1] and not days[1] & days[2]
    assert max(days[0]) < min(days[1]) and max(days[1]) < min(days[2])
    sizes = [len(p) for p in (parts.train, parts.validation, parts.test)]
    assert sum(sizes) == len(frame_of(built))
    assert np.allclose(np.array(sizes) / sum(sizes), [0.7, 0.15, 0.15], atol=0.01)


def test_split_gives_a_straddling_date_to_the_later_part() -> None:
    days = pd.to_datetime(["2024-01-01"] * 6 + ["2024-01-02"] * 2 + ["2024-01-03"] * 2)
    config = replace(small_warehouse.config(), split=training.Shares(0.6, 0.3, 0.1))
    parts = training.split(pd.DataFrame({"game_date": days}), config)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [6, 2, 2]


def test_earlier_seasons_are_training_rows_only(built: Home) -> None:
    config = small_warehouse.config()
    config = replace(config, window=training.Window(date(2023, 10, 1), None))
    warehouse = DuckDB(built.warehouse)
    frame = training.read_frame(
        warehouse, replace(config, earlier_seasons=True), small_warehouse.LATER
    )
    inside = training.read_frame(warehouse, config, small_warehouse.LATER)
    parts, alone = training.split(frame, config), training.split(inside, config)
    assert parts.extra == len(frame) - len(inside) > 0
    assert len(parts.train) == len(alone.train) + parts.extra
    assert parts.test["game_id"].tolist() == alone.test["game_id"].tolist()
    assert parts.validation["game_id"].tolist() == alone.validation["game_id"].tolist()


def test_planted_overlap_is_caught(built: Home) -> None:
    parts = training.split(frame_of(built), small_warehouse.config())
    shared = parts.validation.head(1)
    with pytest.raises(UserError, match="overlaps"):
        Split(pd.concat([parts.train, shared]), parts.validation, parts.test)
    with pytest.raises(UserError, match="overlaps"):
        Split(parts.train, pd.concat([parts.validation, parts.test[:1]]), parts.test)
    with pytest.raises(UserError, match="leaves no test rows"):
        Split(parts.train, parts.validation, parts.test[:0])


# the border between table and trainer


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("is_home", 2, "is_home: is above 1"),
        ("opponent_def_rating", 60.0, "opponent_def_rating: is below 70"),
        ("noise", np.inf, "noise: is infinite"),
        ("target_points", -1, "target_points"),
        ("player_lookup", "player00", "player_lookup"),
    ],
)
def test_unfit_rows_are_refused(
    built: Home, column: str, value: Any, message: str
) -> None:
    frame = frame_of(built)
    catalog = training.read_features(DuckDB(built.warehouse), "v1")
    training.check_frame(frame, catalog)
    frame.loc[frame.index[:9], column] = value
    with pytest.raises(UserError, match=message):
        training.check_frame(frame, catalog)


def test_unfit_columns_are_refused(built: Home) -> None:
    frame = frame_of(built)
    catalog = training.read_features(DuckDB(built.warehouse), "v1")
    with pytest.raises(UserError, match="not a number"):
        training.check_frame(frame.assign(noise="a"), catalog)
    with pytest.raises(UserError, match="noise"):
        training.check_frame(frame.drop(columns="noise"), catalog)
    low = frame.assign(points_avg_last_10=frame["points_avg_last_10"] / 10)
    with pytest.raises(UserError, match="mean of points_avg_last_10"):
        training.check_frame(low, catalog)


def test_unknown_feature_version_is_named(built: Home) -> None:
    with pytest.raises(UserError, match="no feature of version v9"):
        training.read_features(DuckDB(built.warehouse), "v9")


# fit


def test_early_stopping_keeps_the_best_trees_only(built: Home) -> None:
    config = replace(small_warehouse.config(), num_boost_round=300)
    parts = training.split(frame_of(built), config)
    features = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))
    booster = training.fit(config, features, parts.train, parts.validation)
    trees = booster.num_boosted_rounds()
    assert 1 < trees < 300
    again = training.fit(config, features, parts.train, parts.validation)
    assert again.save_raw("json") == booster.save_raw("json"), "same seed, same model"
    longer = replace(config, num_boost_round=trees + 5, early_stopping_rounds=300)
    kept = training.fit(longer, features, parts.train, parts.validation)
    assert kept.num_boosted_rounds() == trees


def test_a_model_knows_what_to_make_of_rows_without_a_report(built: Home) -> None:
    told = tuple(name for name in small_warehouse.FEATURES if "points" in name)
    features = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES), told)
    frame, config = frame_of(built), small_warehouse.config()
    parts = training.split(frame, config)
    blind = features.unreported(parts.test)
    assert blind[list(told)].isna().all().all()
    assert not parts.test[list(told)].isna().all().any(), "the rows themselves stay"

    def mae(share: float, rows: pd.DataFrame) -> float:
        shown = replace(config, unreported_share=share)
        booster = training.fit(shown, features, parts.train, parts.validation)
        predicted = artefact.predict(booster, features.names, rows)
        return float(np.abs(predicted - rows["target_points"]).mean())

    # planted: a model that has never seen such a row
    assert mae(0.5, blind) < 0.95 * mae(0.0, blind)
    assert mae(0.5, parts.test) < 1.03 * mae(0.0, parts.test)


def test_both_figures_are_reported(home: Home) -> None:
    small_warehouse.add_second_version(home)
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            "update nba_ml.feature_catalog set requires = 'availability'"
            " where feature_name = 'points_avg_last_10' and feature_version = 'v2'"
        )
    config = replace(small_warehouse.config(), feature_version="v2")
    found = {
        (m["population"], m["predictor"]): m
        for m in training.train(home, config).manifest.metrics
        if m["metric"] == "mae"
    }
    with_report, without = found["all", "model"], found["without_report", "model"]
    assert without["n"] == with_report["n"]
    assert without["value"] > with_report["value"]
    assert found["without_report", "rule"]["value"] == found["all", "rule"]["value"]
    of_v1 = training.train(home, small_warehouse.config()).manifest.metrics
    assert "without_report" not in {m["population"] for m in of_v1}


# evaluation


def test_intervals_agree_with_a_slow_oracle() -> None:
    generator = np.random.default_rng(1)
    players = pd.Series(generator.integers(0, 12, 200)).map("p{}".format)
    values = (
        generator.gamma(2, 2, (200, 2))
        + players.str[1:].astype(int).to_numpy()[:, None]
    )
    fast = evaluation.resampled_means(players, values, draws=4000, seed=5)
    groups = [values[players == name] for name in players.unique()]
    slow = np.array(
        [
            np.concatenate([groups[i] for i in generator.integers(0, 12, 12)]).mean(0)
            for _ in range(4000)
        ]
    )
    for share in (0.025, 0.5, 0.975):
        gap = np.quantile(fast, share, axis=0) - np.quantile(slow, share, axis=0)
        assert np.abs(gap).max() < 0.15
    by_row = evaluation.resampled_means(range(200), values, draws=4000, seed=5)
    assert fast.std() > 1.5 * by_row.std(), "rows of one player are not independent"


def test_resamples_are_exact_for_known_weights() -> None:
    values = np.array([[1.0], [3.0], [10.0]])
    draws = evaluation.resampled_means(["a", "a", "b"], values, 500, 0)
    assert set(np.round(draws[:, 0], 9)) == {2.0, round(14 / 3, 9), 10.0}


def test_metrics_by_hand() -> None:
    rows = pd.DataFrame(
        {
            "player_lookup": ["a", "b"],
            "game_date": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "target_points": [10, 20],
            "model": [14.0, 18.0],  # errors 4, 2
            "rule": [10.0, 12.0],  # errors 0, 8
            "last_5": [16.0, 20.0],  # errors 6, 0: best baseline
            "last_10": [10.0, 30.0],
            "season_average": [20.0, 20.0],
            "minutes_avg_last_10": [14.9, 15.0],
            "minutes_played": [10.0, 9.0],
            "tier": ["role", "star"],
            "is_home": [1, 0],
            "back_to_back": pd.array([1, None], "Int64"),  # no game before
        }
    )
    levels = Levels(edges=[], low=[-5.0], high=[2.0], within_5=[0.6])
    found = evaluation.metrics(rows, levels, seed=0)

    def value(population: str, predictor: str, metric: str) -> float:
        keys = {"population": population, "predictor": predictor, "metric": metric}
        return value_of(found, **keys)["value"]

    assert value("all", "model", "mae") == 3
    assert value("all", "model", "bias") == 1
    assert value("all", "model", "share_within_3") == 0.5
    assert value("all", "model", "share_within_5") == 1
    assert value("all", "last_5", "mae_difference") == 0
    assert value("all", "model", "interval_coverage") == 1
    assert value("pregame_minutes_15_plus", "model", "mae") == 2
    assert value("played_10_plus_minutes", "rule", "mae") == 0
    assert value("tier_star", "rule", "bias") == -8
    assert value("home", "model", "mae") == 4
    assert value("away", "rule", "mae") == 8
    assert value("back_to_back", "last_5", "mae") == 6
    sizes = {(m["population"], m["n"]) for m in found}
    assert sizes == {
        *{("all", 2), ("pregame_minutes_15_plus", 1), ("played_10_plus_minutes", 1)},
        *{("tier_role", 1), ("tier_star", 1)},
        *{("home", 1), ("away", 1), ("back_to_back", 1)},
    }


def test_every_predictor_is_judged_on_identical_rows(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse),
        "update baseline_predictions set season_average = null"
        " where game_date = (select max(game_date) from training_set)"
        " or (player_lookup = 'player00' and game_date > '2024-03-01')",
    )
    done = training.train(home, small_warehouse.config(), small_warehouse.LATER)
    manifest = done.manifest
    dropped = manifest.evaluation["dropped_test_rows"]
    test = manifest.evaluation["split"]["test"]["rows"]
    every = [m for m in done.manifest.metrics if m["population"] == "all"]
    assert dropped > 50
    assert {m["n"] for m in every} == {test - dropped}
    for population in {m["population"] for m in done.manifest.metrics}:
        sizes = {m["n"] for m in done.manifest.metrics if m["population"] == population}
        assert len(sizes) == 1
    stored = DuckDB(home.warehouse).read("select count(*) as n from test_predictions")
    assert stored["n"].iloc[0] == test - dropped


def test_levels_cover_new_rows_as_promised() -> None:
    generator = np.random.default_rng(3)

    def rows() -> tuple[np.ndarray, np.ndarray]:
        predicted = generator.uniform(2, 30, 5000)
        return predicted, predicted + generator.normal(0, 1 + predicted / 6)

    levels = Levels.measure(*rows())
    predicted, actual = rows()
    bounds = levels.apply(predicted)
    inside = (actual >= bounds["predicted_low"]) & (actual <= bounds["predicted_high"])
    assert abs(inside.mean() - 0.8) < 0.03
    low, high = predicted < 8, predicted > 24
    sure = bounds["confidence"]
    assert sure[low].mean() > sure[high].mean() + 0.3
    within = np.abs(actual - predicted) <= 5
    assert abs(sure[high].mean() - within[high].mean()) < 0.05
    assert (bounds["predicted_low"] >= 0).all()


def test_levels_survive_constant_and_few_predictions() -> None:
    for count in (3, 500):
        levels = Levels.measure(np.full(count, 7.0), np.arange(count, dtype=float))
        bounds = levels.apply(np.array([0.0, 7.0, 50.0]))
        assert np.isfinite(list(bounds.values())).all()


def test_feature_baselines_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "season_phase": ["after_break"] * 12,
            "flag": [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, None, None],
            "empty": [np.nan] * 12,
        }
    )
    flag, empty = evaluation.feature_baselines(frame, ["flag", "empty"])
    assert flag["bin_edges"] == [0] and flag["shares"] == [0.8, 0.2]
    assert (flag["n"], flag["mean"]) == (12, 0.2)
    assert flag["null_rate"] == pytest.approx(1 / 6)
    assert empty["null_rate"] == 1 and empty["mean"] is None
    assert empty["bin_edges"] == [] and empty["shares"] == []


# the whole run


def test_result_and_registry_agree(trained: tuple[Home, Trained]) -> None:
    home, done = trained
    assert done.model_id == "xgboost_v1.0.0" and done.is_synced and not done.notes
    [row] = registry.status(home)["models"]
    mae = value_of(
        done.manifest.metrics, population="all", predictor="model", metric="mae"
    )
    assert row["test_mae"] == pytest.approx(mae["value"])
    assert row["status"] == "training" and row["skill"] > 0
    assert mae["low"] < mae["value"] < mae["high"]
    manifest = artefact.read_manifest(*place_of(home))
    assert manifest.training["rows"] == len(frame_of(home))
    assert manifest.feature_names == list(small_warehouse.FEATURES)
    assert manifest.refit["agreement_rows"] == "the slate of 2024-03-30"
    assert sum(manifest.importance.values()) == pytest.approx(1)
    kept = pd.read_parquet(Path(str(done.path)).with_suffix(".frame.parquet"))
    assert len(kept) == manifest.training["rows"]
    warehouse = DuckDB(home.warehouse)
    tested = warehouse.read("select * from test_predictions")
    expected = Levels(**manifest.levels).apply(tested["predicted_points"].to_numpy())
    pd.testing.assert_frame_equal(tested[list(expected)], pd.DataFrame(expected))
    covered = tested["actual_points"].between(
        tested["predicted_low"], tested["predicted_high"]
    )
    keys = {"population": "all", "metric": "interval_coverage"}
    coverage = value_of(manifest.metrics, **keys)
    assert covered.mean() == pytest.approx(coverage["value"])
    baselines = warehouse.read("select * from feature_baselines")
    assert len(baselines) == 3 * len(small_warehouse.FEATURES)
    for shares in baselines["shares"]:
        assert sum(shares) == pytest.approx(1)
    assert registry.status(home)["orphans"] == []


def test_saved_and_loaded_predictions_are_bit_identical(
    trained: tuple[Home, Trained],
) -> None:
    home, done = trained
    config, frame = small_warehouse.config(), frame_of(home)
    features = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))
    trees = done.manifest.refit["trees"]
    fresh = training.refit(config, features, frame, trees)
    model = artefact.load(*place_of(home), features)
    expected = artefact.predict(fresh, features.names, frame)
    assert (model.predict(frame) == expected).all()


def test_second_run_is_refused_or_skipped(trained_home: Home) -> None:
    config = small_warehouse.config()
    with pytest.raises(UserError, match="Nothing changed since xgboost_v1.0.0"):
        training.train(trained_home, config)
    begun = time.monotonic()
    done = training.train(trained_home, config, if_changed=True)
    assert time.monotonic() - begun < 2
    assert (done.model_id, done.is_new) == ("xgboost_v1.0.0", False)
    assert training.train(trained_home, config, force=True).model_id == "xgboost_v1.0.1"
    small_warehouse.load(trained_home.warehouse, small_warehouse.games().iloc[60:])
    done = training.train(trained_home, config, if_changed=True)
    assert (done.model_id, done.is_new) == ("xgboost_v1.1.0", True)
    shown = CliRunner().invoke(
        cli, ["status", "--compare", "xgboost_v1.1.0", "xgboost_v1.0.0", "--json"]
    )
    pairs = {pair["population"]: pair for pair in json.loads(shown.output)}
    assert pairs["all"]["n"] > 1000 and "tier_star" in pairs


def test_too_good_is_called_a_leak(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = small_warehouse.games()
    frame["noise"] = frame["target_points"].astype(float)
    small_warehouse.load(home.warehouse, frame)
    config = small_warehouse.config()
    monkeypatch.setattr(training, "read_config", lambda _: config)
    result = CliRunner().invoke(cli, ["train"])
    assert result.exit_code == 0
    assert "WARNING" in result.stderr and "suspect a leak" in result.stderr
    assert "pregame_minutes_15_plus" in result.stdout
    card = (home.models / "staging/xgboost_v1.0.0.card.md").read_text()
    assert "suspect a leak" in card
    again = CliRunner().invoke(cli, ["train", "--if-changed"])
    assert "suspect a leak" in again.stderr


def test_refit_that_disagrees_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = training.refit

    def shifted(config: Any, features: Any, frame: pd.DataFrame, trees: int) -> Any:
        moved = frame.assign(target_points=frame["target_points"] + 3)
        return honest(config, features, moved, trees)

    monkeypatch.setattr(training, "refit", shifted)
    with pytest.raises(UserError, match="differs from the evaluated one"):
        training.train(home, small_warehouse.config(), small_warehouse.LATER)
    assert not list(home.models.glob("staging/*"))
    assert registry.registered(home) == []


def test_without_a_slate_the_last_test_date_is_compared(home: Home) -> None:
    frame = small_warehouse.games()
    small_warehouse.load(home.warehouse, frame[~frame["is_scheduled"]])
    done = training.train(home, small_warehouse.config(), small_warehouse.LATER)
    assert "last test date" in done.manifest.refit["agreement_rows"]


# kills, locks and company

DRIVER = """
import os, sys, threading, time
import small_warehouse
from nba_ml import artefact, files, settings, spool, store, training
moment = sys.argv[1]
def die(*_, **__):
    os.kill(os.getpid(), 9)
if moment == "fit":
    training.fit = die
elif moment == "meet":
    models = store.open_store(settings.home())
    fit, reserved = training.fit, lambda: artefact.reservations(models)
    def meet(*a):
        while len(reserved()) < 2:
            time.sleep(0.01)
        return fit(*a)
    training.fit = meet
elif moment == "saved":
    spool.write = die
elif moment == "registered":
    real = spool.write
    spool.write = lambda *a: (real(*a), die())
elif moment.startswith("file"):
    left = [int(moment[4:])]
    def counted(real):
        def publish(*a):
            left[0] -= 1
            die() if left[0] < 0 else real(*a)
        return publish
    files.Path.replace = counted(files.Path.replace)
    files.os.link = counted(files.os.link)
print(training.train(settings.home(), small_warehouse.config()).model_id)
"""


def trainer(home: Home, moment: str = "never") -> subprocess.Popen[str]:
    environment = small_warehouse.environment(home)
    folders = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    environment["OMP_WAIT_POLICY"] = "passive"
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, moment],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("moment", "survives"),
    [
        ("fit", False),
        ("file4", False),  # model there, manifest not
        ("saved", False),  # manifest there, not registered
        ("file5", False),  # registration on its way into the spool
        ("registered", True),
    ],
)
def test_killed_trainer_registers_all_or_nothing(
    home: Home, moment: str, survives: bool
) -> None:
    process = trainer(home, moment)
    assert process.wait() == -signal.SIGKILL, process.communicate()
    found = [model.model_id for model in registry.registered(home)]
    assert found == (["xgboost_v1.0.0"] if survives else [])
    done = training.train(home, small_warehouse.config(), force=True)
    assert done.model_id == ("xgboost_v1.0.1" if survives else "xgboost_v1.0.0")
    facts = registry.status(home)
    assert facts["orphans"] == []
    for model in facts["models"]:
        features = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))
        artefact.load(*resolve(home, model["gcs_path"]), features)
    names = {path.name for path in (home.models / "staging").iterdir()}
    # model, manifest, training rows and the two files of the card
    assert len(names) == 5 * len(facts["models"]), names


def test_two_trainers_at_once_get_two_versions(home: Home) -> None:
    # each waits, its version reserved, until the other has reserved one too
    running = [trainer(home, "meet"), trainer(home, "meet")]
    try:
        printed = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
    ids = {out.split()[-1] for out, _ in printed if out}
    assert ids == {"xgboost_v1.0.0", "xgboost_v1.1.0"}, printed
    assert registry.status(home)["orphans"] == []


def test_locked_warehouse_after_training_loses_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_spool import hold

    honest, holders = spool.write, []

    def write_then_lock(*arguments: Any) -> Path:
        written = honest(*arguments)
        holders.append(hold(home.warehouse))
        return written

    monkeypatch.setattr(spool, "write", write_then_lock)
    monkeypatch.setattr(spool, "connect", lambda home: DuckDB(home.warehouse, 0.2))
    done = training.train(home, small_warehouse.config(), small_warehouse.LATER)
    assert not done.is_synced and "safe in the spool" in done.notes[0]
    assert "nba-ml sync writes the model card" in done.notes[1]
    card = Path(str(done.path)).with_suffix(".card.html")
    assert not card.exists()
    holders[0].communicate("\n")
    assert registry.registered(home)[0].model_id == done.model_id
    assert registry.status(home)["models"] == []
    result = CliRunner().invoke(cli, ["sync"])
    assert result.exit_code == 0
    assert registry.status(home)["models"][0]["model_id"] == done.model_id
    assert card.exists() and str(card) in result.output


def test_warehouse_is_free_during_training(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, seen = training.fit, []

    def fit_beside_a_writer(*arguments: Any) -> Any:
        script = f"import duckdb; duckdb.connect({str(home.warehouse)!r})"
        seen.append(subprocess.run([sys.executable, "-c", script]).returncode)
        return honest(*arguments)

    monkeypatch.setattr(training, "fit", fit_beside_a_writer)
    training.train(home, small_warehouse.config(), small_warehouse.LATER)
    assert seen == [0]


def test_frame_is_read_fast(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "warehouse.duckdb"
    columns = ", ".join(f"random() as c{i}" for i in range(38))
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"create schema nba_ml; create table nba_ml.t as select i, 'p' || i as p,"
            f" {columns} from range(80000) as r(i)"
        )
    warehouse = DuckDB(path)
    warehouse.read("select 1")
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        assert warehouse.read("select * from t").shape == (80_000, 40)
        times.append(time.perf_counter() - begun)
    assert min(times) < (0.2 if (os.cpu_count() or 1) > 1 else 0.4)
