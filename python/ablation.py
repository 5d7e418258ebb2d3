"""What each group of features brings: the error with all of them, and without one.

    python python/ablation.py > docs/features-v2.md

For each group a model is trained without it, before each of the SEASONS and on the
training rows of `nba-ml train`, with the configuration's own parameters but RATE, which
is larger: forty models take minutes. Source: training_set, baseline_predictions and
feature_catalog of NBA_ML_HOME.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from nba_ml import backtest, console, evaluation, settings, training
from nba_ml.artefact import FeatureSet, predict
from nba_ml.backtest import Plan
from nba_ml.settings import PROJECT
from nba_ml.training import Config, Split
from nba_ml.warehouse import connect

CONFIG = PROJECT / "python/config/training.yml"
SEASONS = Plan(since=date(2021, 7, 1), until=date(2023, 7, 1))
RATE, PATIENCE = 0.06, 30  # learning rate and early stopping
TEST = "test rows"
WALK_FORWARD = "walk-forward"


@dataclass(frozen=True)
class Gain:
    """Mean absolute error without a group minus the error with all features, points.

    `low` to `high`: 95 %, cluster bootstrap by player, paired by row.
    """

    group: str
    features: int
    rows: str
    gain: float
    low: float
    high: float


def errors(
    parts: list[Split], config: Config, features: FeatureSet, label: str
) -> np.ndarray:
    """Absolute errors on the test rows of `parts`, one after another."""
    found = []
    for part in parts:
        fitted = training.fit(config, features, part.train, part.validation, label)
        points = predict(fitted, features.names, part.test)
        found.append(np.abs(points - part.test["target_points"].to_numpy(float)))
    return np.concatenate(found)


def without(features: FeatureSet, dropped: tuple[str, ...]) -> FeatureSet:
    """`features` but those that are dropped."""
    return replace(
        features,
        names=tuple(name for name in features.names if name not in dropped),
        reported=tuple(name for name in features.reported if name not in dropped),
    )


def gains(
    parts: Mapping[str, list[Split]],
    config: Config,
    features: FeatureSet,
    groups: Mapping[str, tuple[str, ...]],
) -> list[Gain]:
    """What each of `groups` brings on each kind of rows."""
    found = []
    for rows, folds in parts.items():
        players = pd.concat([fold.test["player_lookup"] for fold in folds])
        whole = errors(folds, config, features, f"{rows}: all features")
        for group, names in groups.items():
            label = f"{rows}: without {group}"
            lost = errors(folds, config, without(features, names), label) - whole
            draws = evaluation.resampled_means(
                players, lost[:, None], evaluation.DRAWS, config.seed
            )
            low, high = np.quantile(draws, [0.025, 0.975])
            found.append(Gain(group, len(names), rows, lost.mean(), low, high))
            console.say(f"{label}: {lost.mean():+.4f} ({low:+.4f} to {high:+.4f})")
    return found


def page(found: list[Gain], parts: Mapping[str, list[Split]], names: int) -> str:
    """The page, with the figures of `found`."""
    dates = {
        rows: " and ".join(
            f"{len(fold.test):,} rows from {fold.test['game_date'].min():%Y-%m-%d} to"
            f" {fold.test['game_date'].max():%Y-%m-%d}"
            for fold in folds
        )
        for rows, folds in parts.items()
    }
    lines = [
        "| Group | Features | " + " | ".join(f"Gain, {rows}" for rows in parts) + " |",
        "|---|---:|" + "---|" * len(parts),
    ]
    for group in dict.fromkeys(one.group for one in found):
        own = {one.rows: one for one in found if one.group == group}
        cells = [
            f"{one.gain:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
            for one in (own[rows] for rows in parts)
        ]
        count = next(iter(own.values())).features
        lines.append(f"| {group} | {count} | " + " | ".join(cells) + " |")
    measured = "\n".join(f"- {rows}: {text}." for rows, text in dates.items())
    text = (PROJECT / "python/ablation.md").read_text()
    for mark, value in {
        "{names}": str(names),
        "{measured}": measured,
        "{table}": "\n".join(lines),
    }.items():
        text = text.replace(mark, value)
    return text


def main() -> None:
    home, config = settings.home(), training.read_config(CONFIG)
    parameters = config.parameters | {"learning_rate": RATE}
    config = replace(config, parameters=parameters, early_stopping_rounds=PATIENCE)
    warehouse = connect(home)
    catalog = training.read_features(warehouse, config.feature_version)
    features = training.feature_set(config.feature_version, catalog)
    named = warehouse.read(
        "select feature_group, feature_name from feature_catalog"
        " where feature_version = ? order by feature_order",
        [config.feature_version],
    )
    groups = {
        str(group): tuple(part["feature_name"])
        for group, part in named.groupby("feature_group", sort=False)
    }
    as_of = training.read_build(warehouse)["as_of"]
    frame = training.read_frame(warehouse, replace(config, earlier_seasons=True), as_of)
    folds = backtest.folds(frame, SEASONS)
    parts = {
        WALK_FORWARD: [backtest.parts(frame, fold, config) for fold in folds],
        TEST: [training.split(frame, config)],
    }
    print(page(gains(parts, config, features, groups), parts, len(features.names)))


if __name__ == "__main__":
    main()
