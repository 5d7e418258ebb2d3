"""What each group of features brings, on a small warehouse whose truth is known."""

from __future__ import annotations

import ablation
import pytest

import small_warehouse
from nba_ml import artefact, training
from nba_ml.settings import PROJECT, Home
from nba_ml.training import Split
from nba_ml.warehouse import DuckDB

FEATURES = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))
PAGE = PROJECT / "docs/features-v2.md"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Split]:
    home = Home(tmp_path_factory.mktemp("ablation"))
    small_warehouse.build(home)
    warehouse, config = DuckDB(home.warehouse), small_warehouse.config()
    as_of = training.read_build(warehouse)["as_of"]
    return [training.split(training.read_frame(warehouse, config, as_of), config)]


def test_a_group_is_worth_what_its_loss_costs(parts: list[Split]) -> None:
    groups = {
        "signal": tuple(name for name in FEATURES.names if name != "noise"),
        "noise": ("noise",),
    }
    found = ablation.gains({"rows": parts}, small_warehouse.config(), FEATURES, groups)
    signal, noise = found
    assert (signal.features, noise.features) == (len(groups["signal"]), 1)
    assert 0.5 < signal.low < signal.gain < signal.high
    assert abs(noise.gain) < 0.05
    page = ablation.page(found, {"rows": parts}, len(FEATURES.names))
    assert f"| noise | 1 | {noise.gain:+.3f} ({noise.low:+.3f} to" in page
    assert f"{len(parts[0].test):,} rows from" in page and "{" not in page


def test_the_page_has_a_row_for_each_group() -> None:
    declared = (PROJECT / "models/features/_feature_store__models.yml").read_text()
    second = declared[declared.index("      - v: 2") :]
    for line in second.splitlines():
        if line.strip().startswith("group: "):
            assert f"\n| {line.split()[1]} | " in PAGE.read_text()
