"""Divergences in SQL beside scipy's, and the bins that are frozen at training."""

from __future__ import annotations

from pathlib import Path

import duckdb
import jinja2
import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

from nba_ml import evaluation
from nba_ml.settings import PROJECT

FLOOR = 0.0001
MACROS = ("floored_share", "kl_divergence", "population_stability_index")


def by_sql(bins: pd.DataFrame, folder: Path = PROJECT / "macros") -> pd.DataFrame:
    """KL and PSI of the project's macros, by distribution; shares p and q."""
    texts = [(folder / f"{name}.sql").read_text() for name in MACROS]
    calls = [f"{{{{ {name}('p', 'q') }}}} as {name}" for name in MACROS[1:]]
    columns = jinja2.Template("\n".join([*texts, ",\n".join(calls)])).render()
    with duckdb.connect() as connection:
        connection.register("bins", bins)
        sql = f"select distribution, {columns} from bins group by distribution"
        return connection.sql(sql).df().set_index("distribution").sort_index()


def by_scipy(bins: pd.DataFrame) -> pd.DataFrame:
    """The same by scipy, whose entropy scales both sides to 1 itself."""

    def measured(group: pd.DataFrame) -> pd.Series:
        p, q = (np.maximum(group[name], FLOOR) for name in ("p", "q"))
        there, back = entropy(p, q), entropy(q, p)
        return pd.Series([there, there + back], MACROS[1:])

    return bins.groupby("distribution")[["p", "q"]].apply(measured).sort_index()


@pytest.fixture(scope="module")
def bins() -> pd.DataFrame:
    """500 distributions of 1 to 10 bins, many of them empty on one side or both."""
    generator = np.random.default_rng(5)
    found = []
    for number in range(500):
        count, values = number % 10 + 1, generator.integers(1, 2_000, 2)
        weights = generator.dirichlet(np.full(count, 0.3), 2)
        p, q = (
            generator.multinomial(n, w) / n
            for n, w in zip(values, weights, strict=True)
        )
        found.append(pd.DataFrame({"distribution": number, "p": p, "q": q}))
    return pd.concat(found)


def test_divergences_are_those_of_scipy(bins: pd.DataFrame) -> None:
    assert (bins["p"] == 0).sum() > 300 and (bins["q"] == 0).sum() > 300
    found, expected = by_sql(bins), by_scipy(bins)
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-9)
    assert (found >= 0).all(axis=None) and (found > 1).any(axis=None)


@pytest.mark.parametrize(
    ("macro", "old", "new"),
    [
        ("floored_share", "then 0.0001", "then 0.00011"),
        ("kl_divergence", "- ln(sum", "+ ln(sum"),
        ("kl_divergence", "floored_share(actual), floored", "actual, floored"),
        ("population_stability_index", "sum({{ q }}),", "sum({{ p }}),"),
    ],
)
def test_a_wrong_macro_is_found(
    bins: pd.DataFrame, tmp_path: Path, macro: str, old: str, new: str
) -> None:
    for name in MACROS:
        text = (PROJECT / f"macros/{name}.sql").read_text()
        if name == macro:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / f"{name}.sql").write_text(text)
    # a logarithm of 0 may end the query as well
    with pytest.raises((AssertionError, duckdb.Error)):
        found = by_sql(bins, tmp_path)
        pd.testing.assert_frame_equal(found, by_scipy(bins), rtol=0, atol=1e-9)


@pytest.mark.parametrize("digits", [0, 1, 3])
def test_training_rows_have_not_drifted_from_themselves(digits: int) -> None:
    """Bins as SQL reads them, above one edge and up to the next, hold the shares."""
    values = np.random.default_rng(digits).normal(size=500).round(digits)
    frame = pd.DataFrame({"season_phase": "after_break", "x": values})
    [baseline] = evaluation.feature_baselines(frame, ["x"])
    edges = [-np.inf, *baseline["bin_edges"], np.inf]
    counts = pd.Series(pd.cut(values, edges, labels=False)).value_counts()
    p = counts.sort_index() / len(values)
    bins = pd.DataFrame({"distribution": 0, "p": p, "q": baseline["shares"]})
    assert (by_sql(bins) == 0).all(axis=None)
