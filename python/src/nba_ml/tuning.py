"""Tuning: better parameters, looked for by walk-forward without the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import yaml

from nba_ml import backtest, settings, training
from nba_ml.artefact import FeatureSet, predict
from nba_ml.settings import Home, UserError
from nba_ml.training import Config
from nba_ml.warehouse import connect

INSTALL = ".venv/bin/python -m pip install -e '.[tune]'"
SPACE = settings.PROJECT / "python/config/tuning.yml"


@dataclass(frozen=True)
class Study:
    """What was tried, on which rows; `config` has the parameters that won.

    `trials` are parameters and mean absolute error of each set, in order.
    """

    config: Config
    configured_mae: float
    trials: list[tuple[dict[str, Any], float]]
    folds: list[str]
    n: int
    first_date: str
    last_date: str

    def __str__(self) -> str:
        parameters, mae = min(self.trials, key=lambda trial: trial[1])
        gain = self.configured_mae - mae
        said = ", ".join(f"{k} {v:.4g}" for k, v in parameters.items())
        kept = f"a gain of {gain:.4f}: {said}" if gain > 0 else "kept as configured"
        return (
            f"Tuning: {len(self.trials)} sets of parameters on {self.n:,} rows of all "
            f"who played, {self.first_date} to {self.last_date}, walk-forward over "
            f"{', '.join(self.folds)}; no test row. Mean absolute error as configured "
            f"{self.configured_mae:.4f}, of the best set {mae:.4f}; {kept}."
        )


def known(frame: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The rows before the first test date: all that tuning may see."""
    first = training.split(frame, config).test["game_date"].min()
    return frame[frame["game_date"] < first]


def tune(home: Home, config: Config, trials: int) -> Study:
    """Try `trials` sets of parameters before a training. Raises UserError."""
    warehouse = connect(home)
    catalog = training.read_features(warehouse, config.feature_version)
    features = training.feature_set(config.feature_version, catalog)
    as_of = training.read_build(warehouse)["as_of"]
    frame = training.read_frame(warehouse, config, as_of)
    # the test rows are cut away before anything else can see them
    return study(known(frame, config), config, features, trials)


def study(
    frame: pd.DataFrame, config: Config, features: FeatureSet, trials: int
) -> Study:
    """Walk forward over the last seasons of `frame`, once for each set.

    The same rows, configuration and number of sets give the same study.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(f"--tune needs Optuna. Install it: {INSTALL}") from None
    folds = backtest.folds(frame, backtest.Plan())
    splits = [backtest.parts(frame, fold, config) for fold in folds]

    def errors(config: Config, label: str) -> np.ndarray:
        found = []
        for split in splits:
            part = split.train, split.validation
            booster = training.fit(config, features, *part, label)
            points = predict(booster, features.names, split.test)
            found.append(np.abs(points - split.test["target_points"].to_numpy(float)))
        return np.concatenate(found)

    def tried(trial: optuna.Trial) -> float:
        for name, bounds in yaml.safe_load(SPACE.read_text()).items():
            is_whole = isinstance(bounds["low"], int)
            (trial.suggest_int if is_whole else trial.suggest_float)(name, **bounds)
        label = f"set {trial.number + 1} of {trials}"
        return float(errors(changed(config, trial.params), label).mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    configured = errors(config, "as configured")
    sampler = optuna.samplers.TPESampler(seed=config.seed)
    found = optuna.create_study(sampler=sampler)
    found.optimize(tried, n_trials=trials)
    is_better = found.best_value < configured.mean()
    days = pd.concat([split.test["game_date"] for split in splits])
    return Study(
        config=changed(config, found.best_params) if is_better else config,
        configured_mae=float(configured.mean()),
        trials=[(one.params, float(one.values[0])) for one in found.trials],
        folds=[fold.name for fold in folds],
        n=len(configured),
        first_date=f"{days.min():%Y-%m-%d}",
        last_date=f"{days.max():%Y-%m-%d}",
    )


def changed(config: Config, parameters: Mapping[str, Any]) -> Config:
    """`config` with other values for some of its parameters."""
    merged: Any = {**config.parameters, **parameters}
    return replace(config, parameters=merged)
