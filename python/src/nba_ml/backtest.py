"""Backtests: what a configuration would have predicted, trained anew for each fold.

What came of it is SQL: backtest_performance and backtest_comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from pathlib import Path
from uuid import uuid4

import pandas as pd

from nba_ml import registry, settings, spool, training
from nba_ml.artefact import FeatureSet, predict
from nba_ml.evaluation import Levels
from nba_ml.settings import Home, UserError
from nba_ml.training import Config, Split
from nba_ml.warehouse import connect

ENOUGH = 3_000  # rows before a fold; their validation part has 50 for each level
FOLDS = 3  # unless others are asked for
KEYS = ["game_id", "player_lookup"]
UNREPORTED = " without report"  # after a configuration: of rows without its features


@dataclass(frozen=True)
class Fold:
    """A season or month that is predicted, and its first and last game date."""

    name: str
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Plan:
    """Whole folds between `since` and `until`, the last `count` of them.

    No count is all of them with a `since`, else 3 at most that can be trained for.
    """

    by: str = "season"
    since: date | None = None
    until: date | None = None
    count: int | None = None


@dataclass(frozen=True)
class Backtest:
    """A finished backtest; the first of `configurations` is the champion."""

    backtest_id: str
    configurations: list[str]
    is_synced: bool
    notes: list[str]


def configuration(path: Path) -> tuple[str, Config]:
    """A configuration and its name in the tables. Raises UserError."""
    config = training.read_config(path)
    content = registry.canonical(config.as_json()).encode()
    return f"{path.stem}@{hashlib.sha256(content).hexdigest()[:8]}", config


def folds(frame: pd.DataFrame, plan: Plan) -> list[Fold]:
    """The folds of `plan` that `frame` has, in order. Raises UserError for none."""
    day, season = frame["game_date"], frame["season_year"]
    names = day.dt.strftime("%Y-%m")
    if plan.by == "season":
        names = season.map(lambda year: f"{year}-{(year + 1) % 100:02d}")
    first = pd.Timestamp(plan.since or day.min())
    last = pd.Timestamp(plan.until or day.max())
    found = [Fold(str(name), d.min(), d.max()) for name, d in day.groupby(names)]
    inside = [f for f in found if first <= f.start and f.end <= last]
    if not plan.since and not plan.count:
        inside = [f for f in inside if len(before(frame, f)) >= ENOUGH][-FOLDS:]
    if not inside:
        raise UserError(
            f"No whole {plan.by} with {ENOUGH:,} rows before it lies between "
            f"{first:%Y-%m-%d} and {last:%Y-%m-%d}. The rows have: "
            f"{', '.join(f.name for f in found)}."
        )
    return inside[-(plan.count or len(inside)) :]


def before(frame: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Rows of the days before the fold's first."""
    return frame[frame["game_date"] < fold.start]


def parts(frame: pd.DataFrame, fold: Fold, config: Config) -> Split:
    """What is known before `fold`, split for early stopping; its test is the fold.

    The window moves back by whole seasons, so that each fold has as many seasons
    before it as the configuration has. Raises UserError when there are too few rows,
    or when one of them is not from before the fold, by its date or by its game id.
    """
    is_of_fold = frame["game_date"].between(fold.start, fold.end)
    season = int(frame.loc[is_of_fold, "season_year"].min())
    moved = pd.DateOffset(years=int(frame["season_year"].max()) + 1 - season)
    start = pd.Timestamp(config.window.start) - moved
    known = before(frame, fold)
    if not config.earlier_seasons:
        known = known[known["game_date"] >= start]
    if len(known) < ENOUGH:
        raise UserError(
            f"Fold {fold.name} has {len(known):,} rows before {fold.start:%Y-%m-%d}, "
            f"and it takes {ENOUGH:,} to train. Choose later folds: --since, --folds."
        )
    config = replace(config, window=replace(config.window, start=start.date()))
    found = training.split(known, config, test=frame[is_of_fold])
    last, first = known["game_id"].max()[:8], found.test["game_id"].min()[:8]
    if last >= first:
        raise UserError(
            f"Fold {fold.name} has a game of {first}, and its training rows one of "
            f"{last}: game_date is wrong, and the fold would leak. "
            "Run: dbt build -s +training_set"
        )
    return found


def predicted(
    split: Split, config: Config, features: FeatureSet, label: str = "training"
) -> pd.DataFrame:
    """What the model that `nba-ml train` would have made says of the test rows.

    Early stopping finds the number of trees, and the interval is measured, on the
    validation part; then the trees are fitted to all that is known. Where features
    require an availability report, each row is predicted without one, too.
    """
    fitted = training.fit(config, features, split.train, split.validation, label)
    levels = Levels.measure(
        predict(fitted, features.names, split.validation),
        split.validation["target_points"].to_numpy(float),
    )
    known = pd.concat([split.train, split.validation])
    served = training.refit(config, features, known, fitted.num_boosted_rounds())
    shown = split.test.assign(variant="")
    if features.reported:
        blind = features.unreported(split.test).assign(variant=UNREPORTED)
        shown = pd.concat([shown, blind])
    points = predict(served, features.names, shown)
    interval = levels.apply(points)
    del interval["confidence"]
    return shown[[*KEYS, "game_date", "variant"]].assign(
        training_end=known["game_date"].max(),
        training_rows=len(known),
        predicted_points=points,
        **interval,
    )


def run(
    home: Home, configs: Mapping[str, Config], plan: Plan, say: Callable[[str], None]
) -> Backtest:
    """Predict each fold by each configuration, on identical rows, and record it.

    Sources: training_set, feature_catalog, baseline_predictions, season_phases and
    build_info; the warehouse is read before and written after, never held. Raises
    UserError.
    """
    warehouse, frames, features = connect(home), {}, {}
    build = training.read_build(warehouse)
    for name, config in configs.items():
        catalog = training.read_features(warehouse, config.feature_version)
        features[name] = training.feature_set(config.feature_version, catalog)
        # what came before the window may be needed by the folds
        whole = replace(config, earlier_seasons=True)
        frames[name] = training.read_frame(warehouse, whole, build["as_of"])
        training.check_frame(frames[name], catalog)
    keys = {name: pd.MultiIndex.from_frame(f[KEYS]) for name, f in frames.items()}
    shared = reduce(pd.MultiIndex.intersection, keys.values())
    champion = next(iter(configs))
    chosen = folds(frames[champion][keys[champion].isin(shared)], plan)
    work = [(fold, name) for fold in chosen for name in configs]
    for fold, name in work:
        parts(frames[name], fold, configs[name])  # refused before hours of training
    now = settings.clock()
    backtest_id = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    rows = []
    for number, (fold, name) in enumerate(work, start=1):
        split = parts(frames[name], fold, configs[name])
        label = f"{number} of {len(work)}: {fold.name} by {name}"
        say(f"{label}, from {len(split.train) + len(split.validation):,} rows")
        found = predicted(split, configs[name], features[name], label).assign(
            backtest_id=backtest_id,
            fold=fold.name,
            fold_start=fold.start,
            fold_end=fold.end,
            created_at=now.isoformat(),
        )
        found = found[pd.MultiIndex.from_frame(found[KEYS]).isin(shared)]
        days = found.select_dtypes("datetime").columns
        found[days] = found[days].apply(lambda day: day.dt.strftime("%Y-%m-%d"))
        found["configuration"] = name + found.pop("variant")
        found["event_id"] = [str(uuid4()) for _ in found.index]
        rows += found.to_dict("records")
    is_synced, notes = spool.record(home, "backtest_results", rows)
    variants = list(dict.fromkeys(row["configuration"] for row in rows))
    return Backtest(backtest_id, variants, is_synced, notes)
