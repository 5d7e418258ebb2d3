from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, backtest, training, tuning
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.store import resolve
from nba_ml.tuning import Study
from nba_ml.warehouse import DuckDB

FEATURES = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))


def config_of() -> training.Config:
    """Worse than what tuning looks through: hardly any splits."""
    found = replace(small_warehouse.config(), num_boost_round=15)
    return tuning.changed(found, {"min_child_weight": 2000.0})


def studied(home: Home) -> Study:
    return tuning.tune(home, config_of(), 3)


def spoil(home: Home) -> None:
    """Nonsense in everything on and after the first test date, but keys and dates."""
    frame = small_warehouse.games()
    known = frame[~frame["is_scheduled"]]
    first = training.split(known, config_of()).test["game_date"].min()
    late = (frame["game_date"] >= first) & ~frame["is_scheduled"]
    frame.loc[late, "target_points"] = np.arange(late.sum()) % 60
    for name in small_warehouse.FEATURES:
        frame[name] = frame[name].astype(float).mask(late, 0.5)
    assert late.sum() > 1000
    small_warehouse.load(home.warehouse, frame)


def test_the_test_rows_change_nothing(home: Home) -> None:
    honest = studied(home)
    spoil(home)
    assert studied(home) == honest


def test_a_planted_leak_changes_the_study(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "known", lambda frame, config: frame)
    honest = studied(home)
    spoil(home)
    assert studied(home) != honest


def test_only_rows_before_the_test_are_known(built: Home) -> None:
    frame = training.read_frame(
        DuckDB(built.warehouse), config_of(), small_warehouse.LATER
    )
    parts = training.split(frame, config_of())
    known = tuning.known(frame, config_of())
    expected = pd.concat([parts.train, parts.validation])
    pd.testing.assert_frame_equal(known, expected)


def test_a_study_is_repeatable_and_honest(built: Home) -> None:
    study, again = studied(built), studied(built)
    assert study == again
    other = tuning.tune(built, replace(config_of(), seed=5), 3)
    assert other.trials != study.trials
    assert len(study.trials) == 3 and study.folds == ["2023-24"]
    parameters, mae = min(study.trials, key=lambda trial: trial[1])
    assert mae < study.configured_mae
    assert study.config == tuning.changed(config_of(), parameters)
    # measured as promised: on the fold, by the model with these parameters
    frame = training.read_frame(
        DuckDB(built.warehouse), config_of(), small_warehouse.LATER
    )
    known = tuning.known(frame, config_of())
    [fold] = backtest.folds(known, backtest.Plan())
    parts = backtest.parts(known, fold, config_of())
    booster = training.fit(study.config, FEATURES, parts.train, parts.validation)
    points = artefact.predict(booster, FEATURES.names, parts.test)
    error = np.abs(points - parts.test["target_points"].to_numpy(float)).mean()
    assert mae == pytest.approx(error)
    assert study.n == len(parts.test)
    assert study.last_date == f"{known['game_date'].max():%Y-%m-%d}"
    assert f"on {study.n:,} rows" in str(study) and "a gain of" in str(study)


def test_the_configured_parameters_stay_when_nothing_beats_them(
    built: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = tmp_path / "tuning.yml"
    space.write_text("min_child_weight: {low: 100000.0, high: 200000.0}\n")
    monkeypatch.setattr(tuning, "SPACE", space)
    study = studied(built)
    assert study.config == config_of() and "kept as configured" in str(study)


def test_the_space_is_valid_configuration(tmp_path: Path) -> None:
    content = yaml.safe_load((PROJECT / "python/config/training.yml").read_text())
    space = yaml.safe_load(tuning.SPACE.read_text())
    for end in ("low", "high"):
        content["parameters"] |= {name: b[end] for name, b in space.items()}
        path = tmp_path / "training.yml"
        path.write_text(yaml.safe_dump(content))
        assert training.read_config(path).parameters["max_depth"]


def test_what_won_is_trained_and_recorded(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of()
    monkeypatch.setattr(training, "read_config", lambda _: config)
    plain = CliRunner().invoke(cli, ["train", "--json"])
    assert plain.exit_code == 0, plain.output
    assert json.loads(plain.stdout)["model_id"] == "xgboost_v1.0.0"
    done = CliRunner().invoke(cli, ["train", "--tune", "2"])
    assert done.exit_code == 0, done.output
    assert "Tuning: 2 sets of parameters" in done.stdout
    assert "xgboost_v1.1.0 registered" in done.stdout, "a minor change"
    manifest = artefact.read_manifest(*resolve(home, "staging/xgboost_v1.1.0.json"))
    expected = tuning.tune(home, config, 2).config
    assert manifest.config == expected.as_json() != config.as_json()
    skipped = CliRunner().invoke(cli, ["train", "--tune", "2", "--if-changed"])
    assert "xgboost_v1.1.0 covers these rows" in skipped.stdout


def test_too_short_a_history_is_refused(home: Home) -> None:
    frame = small_warehouse.games()
    small_warehouse.load(home.warehouse, frame[frame["game_date"] > "2023-09-01"])
    with pytest.raises(UserError, match="No whole season with 3,000 rows before it"):
        studied(home)


def test_without_optuna_the_message_installs_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    small_warehouse.add_second_version(home)  # the one that is configured
    done = CliRunner().invoke(cli, ["train", "--tune", "2"])
    assert done.exit_code == 1
    assert "pip install -e '.[tune]'" in done.output
