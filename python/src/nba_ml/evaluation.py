"""How good a model is: measured beside the baselines, on identical rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

BASELINES = ("rule", "last_5", "last_10", "season_average")
PREDICTORS = ("model", *BASELINES)
TIERS = ("bench", "role", "starter", "star")
DRAWS = 1_000
INTERVAL = 0.80


@dataclass(frozen=True)
class Levels:
    """Residuals by predicted level: level i holds predictions up to `edges[i]`.

    `edges` has one entry less than the others. `low` and `high` are added to
    a prediction for its 80 % interval; `within_5` is the share of errors of at
    most 5 points, the confidence. All in points but the last.
    """

    edges: list[float]
    low: list[float]
    high: list[float]
    within_5: list[float]

    @staticmethod
    def measure(predicted: np.ndarray, actual: np.ndarray) -> Levels:
        """Learn from rows that no tree was fitted to; at most ten levels."""
        count = int(np.clip(len(predicted) // 50, 1, 10))
        shares = np.arange(1, count) / count
        edges = np.unique(np.quantile(predicted, shares, method="inverted_cdf"))
        level = np.searchsorted(edges, predicted, side="left")
        residual = actual - predicted
        groups = [residual[level == i] for i in range(len(edges) + 1)]
        # the highest edge may be the maximum: the level above borrows its rows
        groups = [g if len(g) else groups[i - 1] for i, g in enumerate(groups)]
        tail = (1 - INTERVAL) / 2
        return Levels(
            edges=edges.tolist(),
            low=[float(np.quantile(g, tail)) for g in groups],
            high=[float(np.quantile(g, 1 - tail)) for g in groups],
            within_5=[float((np.abs(g) <= 5).mean()) for g in groups],
        )

    def apply(self, predicted: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays predicted_low (at least 0), predicted_high, confidence."""
        level = np.searchsorted(np.array(self.edges), predicted, side="left")
        return {
            "predicted_low": np.maximum(predicted + np.array(self.low)[level], 0),
            "predicted_high": predicted + np.array(self.high)[level],
            "confidence": np.array(self.within_5)[level],
        }


def resampled_means(
    clusters: Sequence[Any] | pd.Series, values: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Means of `values` (rows, k) over `draws` resamples of whole clusters.

    Shape (draws, k). The columns share their resamples, so that differences
    between them are paired.
    """
    codes, found = pd.factorize(np.asarray(clusters, dtype=object))
    sums = np.column_stack([np.bincount(codes, weights=column) for column in values.T])
    sizes = np.bincount(codes)
    count = len(found)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(count, np.full(count, 1 / count), size=draws)
    return (weights @ sums) / (weights @ sizes)[:, None]


def populations(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row masks by population; only the last is a cut made after the game."""
    tier = rows["tier"].to_numpy(object)

    def number(name: str) -> np.ndarray:
        return rows[name].to_numpy(float, na_value=np.nan)

    return {
        "all": np.full(len(rows), True),
        "pregame_minutes_15_plus": number("minutes_avg_last_10") >= 15,
        **{f"tier_{name}": tier == name for name in TIERS},
        "home": number("is_home") == 1,
        "away": number("is_home") == 0,
        "back_to_back": number("back_to_back") == 1,
        "rested": number("back_to_back") == 0,
        "played_10_plus_minutes": number("minutes_played") >= 10,
    }


def metrics(
    rows: pd.DataFrame,
    levels: Levels,
    seed: int,
    masks: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Metrics of the model and the baselines on the same `rows`, long, by population:
    those of `masks`, by default `populations`.

    `rows` needs target_points, one column per predictor, player_lookup,
    game_date, tier, minutes_avg_last_10, is_home, back_to_back and
    minutes_played, no NULL among predictors. Intervals are 95 %, cluster bootstrap
    by player.
    `mae_difference` is the model's MAE minus that of the best baseline, which
    stands in `predictor`.
    """
    found: list[dict[str, Any]] = []
    for population, mask in (masks or populations(rows)).items():
        part = rows[mask]
        if part.empty:
            continue
        shared = {
            "split": "test",
            "population": population,
            "n": len(part),
            "first_date": part["game_date"].min().date().isoformat(),
            "last_date": part["game_date"].max().date().isoformat(),
        }
        found += [{**shared, **row} for row in _population(part, levels, seed)]
    return found


def _population(part: pd.DataFrame, levels: Levels, seed: int) -> list[dict[str, Any]]:
    actual = part["target_points"].to_numpy(float)
    signed = part[list(PREDICTORS)].to_numpy(float) - actual[:, None]
    errors = np.abs(signed)
    mae = errors.mean(axis=0)
    draws = resampled_means(part["player_lookup"], errors, DRAWS, seed)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    found = []
    for i, predictor in enumerate(PREDICTORS):
        found += [
            _metric(predictor, "mae", mae[i], low[i], high[i]),
            _metric(predictor, "bias", signed[:, i].mean()),
            _metric(predictor, "share_within_3", (errors[:, i] <= 3).mean()),
            _metric(predictor, "share_within_5", (errors[:, i] <= 5).mean()),
        ]
    best = 1 + int(mae[1:].argmin())
    gap = np.quantile(draws[:, 0] - draws[:, best], [0.025, 0.975])
    difference = mae[0] - mae[best]
    found.append(_metric(PREDICTORS[best], "mae_difference", difference, *gap))
    interval = levels.apply(part["model"].to_numpy(float))
    inside = (actual >= interval["predicted_low"]) & (
        actual <= interval["predicted_high"]
    )
    found.append(_metric("model", "interval_coverage", inside.mean()))
    return found


def _metric(predictor: str, metric: str, *numbers: float) -> dict[str, Any]:
    value, low, high = (*map(float, numbers), None, None)[:3]
    interval = {"value": value, "low": low, "high": high}
    return {"predictor": predictor, "metric": metric, **interval}


def feature_baselines(
    frame: pd.DataFrame, features: Sequence[str]
) -> list[dict[str, Any]]:
    """Distribution of each feature by season phase, for drift to compare with.

    Bin i holds values above `bin_edges[i - 1]` up to `bin_edges[i]`; `shares`
    (of non-NULL values) has one entry more, for values above the last edge.
    Edges are rank-based deciles, so that every engine finds the same.
    """
    found = []
    for phase, part in frame.groupby("season_phase", sort=True):
        for name in features:
            values = part[name].to_numpy(float, na_value=np.nan)
            known = values[~np.isnan(values)]
            deciles = np.arange(1, 10) / 10
            edges = np.empty(0)
            if len(known):
                edges = np.unique(np.quantile(known, deciles, method="inverted_cdf"))
                edges = edges[edges < known.max()]
            counts = np.bincount(
                np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1
            )
            found.append(
                {
                    "feature_name": name,
                    "season_phase": phase,
                    "n": len(values),
                    "mean": float(known.mean()) if len(known) else None,
                    "stddev": float(known.std(ddof=1)) if len(known) > 1 else None,
                    "null_rate": float(1 - len(known) / len(values)),
                    "bin_edges": edges.tolist(),
                    "shares": (counts / len(known)).tolist() if len(known) else [],
                }
            )
    return found
