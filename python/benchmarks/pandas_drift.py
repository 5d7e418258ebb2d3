"""Weekly drift of what was served, as one would write it with pandas and scipy.

    python pandas_drift.py WAREHOUSE

Mean, deviation, missing share and PSI of each feature and week against the bins that
were frozen at training, and the mean absolute error by day: a part of what the models
of monitoring compute. Prints its seconds.
"""

from __future__ import annotations

import json
import sys
import time

import duckdb
import numpy as np
import pandas as pd
from scipy.stats import entropy

FLOOR = 0.0001


def psi(values: pd.Series, edges: np.ndarray, shares: np.ndarray) -> float:
    known = values.dropna().to_numpy()
    if not len(known) or not len(shares):
        return np.nan
    counts = np.bincount(np.searchsorted(edges, known), minlength=len(shares))
    p, q = (np.maximum(one, FLOOR) for one in (counts / len(known), shares))
    return float(entropy(p, q) + entropy(q, p))


def main() -> None:
    begun = time.perf_counter()
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        connection.execute("set schema = 'nba_ml'")
        log = connection.sql(
            "select log.*, graded.season_phase, graded.absolute_error"
            " from prediction_log as log inner join prediction_accuracy as graded"
            " using (prediction_id) where not graded.is_voided"
        ).df()
        bins = connection.sql("select * from feature_baselines").df()
    vectors = pd.json_normalize(log["features"].map(json.loads).tolist())
    log["week"] = log["game_date"].dt.to_period("W-SUN").dt.start_time
    frozen = bins.set_index(["model_id", "season_phase", "feature_name"])
    keys = ["model_id", "week", "season_phase"]
    found = []
    for (model, week, phase), rows in vectors.groupby([log[name] for name in keys]):
        for name, values in rows.items():
            known = frozen.loc[(model, phase, name)]
            drift = psi(values, known["bin_edges"], known["shares"])
            moments = values.mean(), values.std(), values.isna().mean()
            found.append((model, week, phase, name, *moments, drift))
    by_day = log.groupby(["model_id", "game_date"])["absolute_error"].mean()
    assert len(found) and len(by_day)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
