from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

import small_warehouse
from nba_ml import spool
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.spool import Event
from nba_ml.warehouse import DuckDB, WarehouseUnavailable


def importance(number: int, model_id: str = "m") -> Event:
    row = {"event_id": f"e{number}", "model_id": model_id, "feature_name": "is_home"}
    return Event("feature_importance", {**row, "importance_rank": number})


def stored(home: Home) -> list[str]:
    rows = DuckDB(home.warehouse).read(
        "select event_id from feature_importance order by event_id"
    )
    return list(rows["event_id"])


def test_batch_is_one_file_and_sync_loads_it(home: Home) -> None:
    spool.write(home.spool, [importance(1), importance(2)])
    assert len(spool.pending(home.spool)) == 1
    done = spool.sync(home)
    assert (done.files, done.rows) == (1, {"feature_importance": 2})
    assert stored(home) == ["e1", "e2"]
    assert spool.pending(home.spool) == []


def test_delivered_twice_counts_once(home: Home) -> None:
    spool.write(home.spool, [importance(1), importance(1)])
    spool.write(home.spool, [importance(1), importance(2)])
    assert spool.sync(home).rows == {"feature_importance": 2}
    spool.write(home.spool, [importance(2)])
    assert spool.sync(home).rows == {"feature_importance": 0}
    assert stored(home) == ["e1", "e2"]


def test_columns_are_matched_by_name_and_types_kept(home: Home) -> None:
    edges = {"bin_edges": [1, 2.5], "shares": [], "n": 3, "model_id": "m"}
    spool.write(home.spool, [Event("feature_baselines", {**edges, "event_id": "x"})])
    dated = {"event_id": "y", "game_date": "2024-01-02", "actual_points": 7}
    spool.write(home.spool, [Event("test_predictions", dated)])
    assert spool.sync(home).problems == []
    warehouse = DuckDB(home.warehouse)
    [row] = warehouse.read("select * from feature_baselines").to_dict("records")
    assert list(row["bin_edges"]) == [1.0, 2.5] and list(row["shares"]) == []
    [row] = warehouse.read("select * from test_predictions").to_dict("records")
    assert str(row["game_date"].date()) == "2024-01-02" and row["actual_points"] == 7


def test_nan_is_refused_at_writing(home: Home) -> None:
    with pytest.raises(ValueError):
        spool.write(home.spool, [Event("model_metrics", {"value": float("nan")})])
    assert not list(home.spool.glob("*"))


def test_kill_between_commit_and_deletion_doubles_nothing(home: Home) -> None:
    spool.write(home.spool, [importance(1)])
    script = (
        "import os, pathlib\n"
        "from nba_ml import settings, spool\n"
        "pathlib.Path.unlink = lambda *a, **k: os._exit(9)\n"
        "spool.sync(settings.home())\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script], env=small_warehouse.environment(home)
    )
    assert killed.returncode == 9
    assert len(spool.pending(home.spool)) == 1
    assert stored(home) == ["e1"]
    assert spool.sync(home).rows == {"feature_importance": 0}
    assert stored(home) == ["e1"] and spool.pending(home.spool) == []


def test_kill_before_rename_leaves_no_batch(home: Home) -> None:
    script = (
        "import os, pathlib\n"
        "from nba_ml import settings, spool\n"
        "pathlib.Path.replace = lambda *a: os._exit(9)\n"
        "spool.write(settings.home().spool, [spool.Event('model_events', {})])\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], env=small_warehouse.environment(home)
    )
    [left] = home.spool.iterdir()
    assert spool.pending(home.spool) == []
    spool.sync(home)
    assert left.exists(), "a temporary file of a living writer is not touched"
    os.utime(left, (0, 0))
    spool.sync(home)
    assert not left.exists()


@pytest.mark.parametrize(
    "line", ['{"table": "model_ev', "[1]", '{"table": "model_events"}', ""]
)
def test_corrupt_line_is_named_and_others_synced(home: Home, line: str) -> None:
    home.spool.mkdir()
    corrupt = home.spool / "20240101T000000Z-a.jsonl"
    good = '{"table": "feature_importance", "row": {"event_id": "e9"}}\n'
    corrupt.write_text(good + line + "\n" if line else "")
    spool.write(home.spool, [importance(1)])
    result = CliRunner().invoke(cli, ["sync"])
    assert result.exit_code == 1
    assert corrupt.name in result.output
    assert "line 2" in result.output if line else "is empty" in result.output
    assert corrupt.exists()
    assert stored(home) == ["e1"], "nothing of a corrupt batch is loaded"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("model_event", {"event_id": "a"}), "dbt build -s model_event"),
        (Event("model_events", {"event_id": "a", "mood": 1}), "no column mood"),
        (Event("model_events", {"event_id": "a", "event_at": "soon"}), "soon"),
        (Event("model_events", {"event_type": "trained"}), "no event_id"),
    ],
)
def test_unfit_batch_is_kept_and_others_synced(
    home: Home, event: Event, message: str
) -> None:
    unfit = spool.write(home.spool, [importance(7), event])
    spool.write(home.spool, [importance(1)])
    done = spool.sync(home)
    [problem] = done.problems
    assert message in problem and unfit.name in problem
    assert spool.pending(home.spool) == [unfit]
    assert stored(home) == ["e1"], "a batch is all or nothing"


def test_concurrent_syncs_load_each_event_once(home: Home) -> None:
    for number in range(20):
        spool.write(home.spool, [importance(number)])
    command = [sys.executable, "-c", "from nba_ml.cli import cli; cli(['sync'])"]
    environment = small_warehouse.environment(home)
    running = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(stored(home)) == 20 and spool.pending(home.spool) == []


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that has the warehouse open for writing."""
    script = f"import duckdb; c = duckdb.connect({str(path)!r}); print(1); input()"
    process = subprocess.Popen(
        [sys.executable, "-uc", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline()
    return process


def test_locked_warehouse_names_file_and_holder(home: Home) -> None:
    spool.write(home.spool, [importance(1)])
    holder = hold(home.warehouse)
    try:
        with pytest.raises(WarehouseUnavailable) as error:
            DuckDB(home.warehouse, patience=0.2).read("select 1")
        assert str(home.warehouse) in error.value.message
        assert re.search(rf"PID {holder.pid}\)", error.value.message)
    finally:
        holder.communicate("\n")
    spool.sync(home)
    assert stored(home) == ["e1"]


def test_patience_outlasts_a_short_lock(home: Home) -> None:
    holder = hold(home.warehouse)
    timer = threading.Timer(0.5, lambda: holder.communicate("\n"))
    timer.start()
    found = DuckDB(home.warehouse, patience=5).read("select 1 as one")
    assert found["one"].iloc[0] == 1
    timer.join()


def test_missing_warehouse_keeps_the_spool(tmp_path: Path) -> None:
    home = Home(tmp_path)
    spool.write(home.spool, [importance(1)])
    with pytest.raises(WarehouseUnavailable, match="dbt build"):
        spool.sync(home)
    assert len(spool.pending(home.spool)) == 1


def test_missing_relation_names_the_command(home: Home) -> None:
    with pytest.raises(UserError, match="dbt build -s feature_store_v9"):
        DuckDB(home.warehouse).read("select * from feature_store_v9")
    with pytest.raises(UserError, match="no_such_column"):
        DuckDB(home.warehouse).read("select no_such_column from feature_store")


def test_types_do_not_depend_on_nulls(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create schema nba_ml; create table nba_ml.t as from (values"
            " (1::int, 1.5::decimal(5, 1), true, date '2024-01-02', 'a', 1::hugeint),"
            " (null, null, null, null, null, null)) as v(i, d, b, day, s, h)"
        )
    for where in ("i is null", "i is not null", "true"):
        found = DuckDB(path).read(f"select * from t where {where}")
        kinds = [str(found[name].dtype) for name in found]
        expected = ["Int64", "float64", "boolean", "datetime64[us]", "str", "Int64"]
        assert kinds == expected
