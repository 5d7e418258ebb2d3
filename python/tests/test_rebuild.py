"""A feature store depends on its inputs and its clock, and on nothing else.

Not on what stood in the warehouse before, not on how many threads computed it, and an
old version not on what was built since.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import small_league
from dbt_project import DbtProject

# in mid-season, so that some games are upcoming
CLOCK = "2023-11-24T12:00:00"
SELECT = (
    "+training_set",
    "+baseline_predictions",
    "+feature_catalog",
    "+feature_quality",
)


@pytest.fixture(scope="module")
def box_scores() -> pd.DataFrame:
    return small_league.box_scores()


@pytest.fixture(scope="module")
def home(
    project: DbtProject,
    box_scores: pd.DataFrame,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Built once, by one thread."""
    home = tmp_path_factory.mktemp("rebuild")
    build(project, home, box_scores)
    return home


def build(
    project: DbtProject, home: Path, box_scores: pd.DataFrame, threads: int = 1
) -> None:
    (home / "raw").mkdir(exist_ok=True)
    box_scores.to_parquet(home / "raw" / "player_game_summary.parquet")
    project.build(home, CLOCK, threads, SELECT)


def contents(home: Path) -> dict[str, list[str]]:
    """Every row of every relation as text, which shows each bit of a number."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'nba_ml' order by 1"
        ).fetchall()
        found = {
            name: [
                row
                for (row,) in connection.execute(
                    f"select cast(t as varchar) from nba_ml.{name} as t order by 1"
                ).fetchall()
            ]
            for (name,) in names
        }
    assert len(found) > 20
    assert len(found["feature_store_v1"]) > 3000
    assert len(found["training_set_v1"]) == len(found["training_set_v2"]) > 2000
    assert len(found["baseline_predictions"]) == len(found["feature_store_v1"])
    return found


def differing(one: Path, other: Path) -> list[str]:
    """Names of the relations that do not hold the same."""
    mine, theirs = contents(one), contents(other)
    assert mine.keys() == theirs.keys()
    return [name for name, rows in mine.items() if rows != theirs[name]]


def test_two_builds_are_equal(
    project: DbtProject, home: Path, box_scores: pd.DataFrame, tmp_path: Path
) -> None:
    build(project, tmp_path, box_scores)
    assert differing(home, tmp_path) == []


def test_two_threads_build_the_same(
    project: DbtProject, home: Path, box_scores: pd.DataFrame, tmp_path: Path
) -> None:
    # rows in another order too: no sum may depend on it
    shuffled = box_scores.sample(frac=1, random_state=3)
    build(project, tmp_path, shuffled, threads=2)
    assert differing(home, tmp_path) == []


def test_a_late_correction_is_as_good_as_a_new_start(
    project: DbtProject, home: Path, box_scores: pd.DataFrame, tmp_path: Path
) -> None:
    played = box_scores[box_scores["game_date"] == small_league.OPENERS[2023]]
    row = played["points"].idxmax()
    corrected = box_scores.copy()
    # a basket of somebody else, found weeks later
    corrected.loc[row, ["points", "fg_makes", "fg_attempts"]] += [2, 1, 1]
    one, other = tmp_path / "rebuilt", tmp_path / "new"
    one.mkdir()
    other.mkdir()
    build(project, one, box_scores)
    assert differing(home, one) == []

    build(project, one, corrected)
    build(project, other, corrected)
    assert differing(one, other) == []
    # the comparison sees what one basket changes: form, rating, team-mates' usage
    changed = differing(home, one)
    assert {"int_player_form", "int_team_form", "feature_store_v1"} <= set(changed)
    assert "stg_game_schedule" not in changed


def checksums(warehouse: Path) -> pd.DataFrame:
    """Position, type and contents, to the last bit, of each column of version 1."""
    table = "nba_ml.feature_store_v1"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        columns = connection.execute(f"describe {table}").fetchall()
        sums = ", ".join(
            f"md5(string_agg(coalesce(cast({name} as varchar), 'null'), ' '"
            " order by game_id, player_lookup))"
            for name, *_ in columns
        )
        values = connection.execute(f"select {sums} from {table}").fetchone()
    rows = [(*column[:2], md5) for column, md5 in zip(columns, values, strict=True)]
    return pd.DataFrame(rows, columns=["column_name", "data_type", "md5"])


def test_version_1_does_not_change_by_a_bit(home: Path, tmp_path: Path) -> None:
    # of the made-up league; written once, when version 1 was the only one
    stored = pd.read_csv(Path(__file__).with_name("feature_store_v1.csv"))
    warehouse = home / "warehouse.duckdb"
    pd.testing.assert_frame_equal(checksums(warehouse), stored)

    changed = shutil.copy(warehouse, tmp_path)
    with duckdb.connect(str(changed)) as connection:
        connection.execute(
            "update nba_ml.feature_store_v1 set points_avg_season ="
            # by the last bit of one value
            " points_avg_season * (1 + 2.3e-16) where (game_id, player_lookup) ="
            " (select max((game_id, player_lookup)) from nba_ml.feature_store_v1"
            " where points_avg_season > 0)"
        )
    found = checksums(changed)
    assert found[found["md5"] != stored["md5"]]["column_name"].tolist() == [
        "points_avg_season"
    ]
