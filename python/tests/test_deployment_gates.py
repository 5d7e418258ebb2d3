"""The gates of the project's own seed, on a model of few rows."""

from __future__ import annotations

import deployment_checklist
import pytest

import small_warehouse
from nba_ml import registry, spool
from nba_ml.settings import Home
from nba_ml.warehouse import DuckDB

MODEL = "xgboost_v1.0.0"
HOLDS = "assert_model_gates__hold_in_production"


def promote(home: Home, details: str | None) -> str:
    """What dbt says about the gates when the model went live, with `details`."""
    staged = registry.model_event("staged", MODEL)
    promoted = registry.model_event("promoted", MODEL, details=details)
    spool.write(home.spool, [staged, promoted])
    assert spool.sync(home).problems == []
    chosen = ["--select", "deployment_gates", "model_gates", HOLDS]
    done = small_warehouse.dbt(home, "build", *chosen, "--exclude", "test_type:unit")
    return done.stdout


@pytest.mark.parametrize("details", [None, '{"force":""}', '{"forced":"no"}'])
def test_a_live_model_that_did_not_pass_is_found(
    trained_home: Home, details: str | None
) -> None:
    output = promote(trained_home, details)
    assert f"Failure in test {HOLDS}" in output and "ERROR=1 " in output, output


def test_a_reason_lets_it_pass(trained_home: Home) -> None:
    output = promote(trained_home, '{"force":"the first model","steps":9}')
    assert "ERROR=0 " in output, output
    gates = DuckDB(trained_home.warehouse).read("select * from model_gates")
    of_all = gates[gates["population"] == "all"].set_index("gate")
    assert 1000 < of_all["n"].min() < 2000
    decided = of_all["has_passed"].dropna()
    assert decided.to_dict() == {"test_rows": False}, "few rows decide nothing else"
    assert of_all.loc["max_test_mae", "limit_value"] == 4.6, "the limit of v1"
    others = gates.set_index("gate").drop(of_all.index)
    assert others.loc["not_worse_than_production", "has_passed"]


def test_the_guide_lists_the_limits_that_are() -> None:
    text = deployment_checklist.PAGE.read_text()
    renewed = f"Run: {deployment_checklist.COMMAND}"
    assert deployment_checklist.page(text) == text, renewed
    planted = text.replace("at least 0.88", "at least 0.80")
    assert deployment_checklist.page(planted) == text != planted
