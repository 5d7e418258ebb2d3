"""BigQuery out of reach, out of quota, slow or cut off: nothing lost or doubled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from click.testing import CliRunner

import small_warehouse
from bigquery_emulator import TARGET, Fault, Proxy, emulator, proxy
from nba_ml import bigquery, registry, settings, spool
from nba_ml.bigquery import BigQuery
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.warehouse import WarehouseUnavailable

# what reads asks, what appends asks, what loads asks
QUERIES, JOBS, LOADS = "/queries", "/projects/local/jobs?", "/upload/"


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy to an emulator that has two event tables, built by dbt."""
    folder = tmp_path_factory.mktemp("emulator")
    with emulator(folder) as running, proxy(running.endpoint) as found:
        folders = ["--target-path", folder / "target", "--log-path", folder]
        names = ["model_events", "model_metrics"]
        variables = running.variables | {"DBT_PROFILES_DIR": str(PROJECT / "profiles")}
        done = subprocess.run(
            [PROJECT / ".venv/bin/dbt", "run", "--select", *names, *folders],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            env=os.environ | variables,
        )
        assert done.returncode == 0, done.stdout
        yield found


@pytest.fixture
def home(way: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder whose warehouse is behind the proxy, its tables empty."""
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    monkeypatch.setenv("NBA_ML_TARGET", TARGET)
    monkeypatch.setenv("NBA_ML_BIGQUERY_ENDPOINT", way.url)
    # a test has no minute to lose
    monkeypatch.setenv("NBA_ML_BIGQUERY_RETRY_SECONDS", "3")
    way.faults.clear()
    way.hits.clear()
    for table in ("model_events", "model_metrics"):
        small_warehouse.change(warehouse(), f"truncate table {table}")
    return Home(tmp_path, TARGET)


def warehouse() -> BigQuery:
    return BigQuery(settings.read_profile(TARGET))


def counts() -> tuple[int, ...]:
    """Rows of the two event tables."""
    found = warehouse().read(
        "select (select count(*) from model_events) as events,"
        " (select count(*) from model_metrics) as metrics"
    )
    return tuple(int(number) for number in found.iloc[0])


def spooled(home: Home, number: int = 1) -> None:
    """One batch for two tables in the spool."""
    event = registry.model_event("trained", f"xgboost_v1.0.{number}")
    metric = {"event_id": f"metric-{number}", "model_id": "x", "value": 0.5, "n": 3}
    spool.write(home.spool, [event, spool.Event("model_metrics", metric)])


def test_without_a_fault_a_batch_arrives(home: Home) -> None:
    spooled(home)
    assert spool.sync(home).rows == {"model_events": 1, "model_metrics": 1}
    assert counts() == (1, 1)


@pytest.mark.parametrize("status, reason", [(503, "backendError"), (502, "badGateway")])
def test_a_passing_server_error_is_retried(
    home: Home, way: Proxy, status: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_BIGQUERY_RETRY_SECONDS", "30")
    spooled(home)
    way.faults.append(Fault(JOBS, status, reason, times=2))
    assert spool.sync(home).rows == {"model_events": 1, "model_metrics": 1}
    assert len(way.hits) == 2 and counts() == (1, 1)


def test_a_batch_whose_answer_was_lost_is_not_doubled(home: Home, way: Proxy) -> None:
    spooled(home)
    way.faults.append(Fault(JOBS, is_done=True))
    done = spool.sync(home)
    assert way.hits and done.files == 1
    assert counts() == (1, 1) and spool.pending(home.spool) == []


def test_a_second_delivery_looks_for_the_job_of_the_first(
    home: Home, way: Proxy
) -> None:
    spooled(home)
    [kept] = spool.pending(home.spool)
    content = kept.read_bytes()
    assert spool.sync(home).rows == {"model_events": 1, "model_metrics": 1}
    kept.write_bytes(content)
    asked = len(way.paths)
    assert set(spool.sync(home).rows.values()) == {0}
    assert any("/jobs/nba_ml_" in path for path in way.paths[asked:])
    assert counts() == (1, 1)


def test_a_model_is_visible_only_when_all_of_it_is_there(
    home: Home, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery, "REQUEST", 2_000)
    event = registry.model_event("trained", "xgboost_v1.0.0")
    rows = [{"event_id": f"metric-{i}", "value": i / 3} for i in range(200)]
    metrics = [spool.Event("model_metrics", row) for row in rows]
    spool.write(home.spool, [event, *metrics])
    way.faults.append(Fault(JOBS, 403, "quotaExceeded", after=3, times=10_000))
    with pytest.raises(WarehouseUnavailable):
        spool.sync(home)
    way.faults.clear()
    events, some = counts()
    assert events == 0 and 0 < some < 200
    assert spool.sync(home).rows["model_metrics"] == 200 - some
    assert counts() == (1, 200)


def test_what_was_cut_off_stays_in_the_spool(home: Home, way: Proxy) -> None:
    spooled(home)
    way.faults.append(Fault(JOBS, times=10_000))
    with pytest.raises(WarehouseUnavailable, match="Nothing was lost"):
        spool.sync(home)
    way.faults.clear()
    assert counts() == (0, 0) and len(spool.pending(home.spool)) == 1
    assert spool.sync(home).files == 1
    assert counts() == (1, 1)


@pytest.mark.parametrize(
    "status, reason", [(403, "quotaExceeded"), (403, "rateLimitExceeded")]
)
def test_a_quota_error_keeps_the_events_and_says_so(
    home: Home, way: Proxy, status: int, reason: str
) -> None:
    spooled(home)
    way.faults.append(Fault(JOBS, status, reason, times=10_000))
    started = time.monotonic()
    done = CliRunner().invoke(cli, ["sync"])
    assert time.monotonic() - started < 30
    assert done.exit_code == 1 and reason in done.output
    assert "run this again later" in done.output and "Traceback" not in done.output
    is_synced, notes = spool.try_sync(home, spool.pending(home.spool)[0])
    assert not is_synced and "safe in the spool" in notes[0]
    way.faults.clear()
    assert spool.sync(home).files == 1 and counts() == (1, 1)


def test_a_refusal_is_not_retried(home: Home, way: Proxy) -> None:
    way.faults.append(Fault(QUERIES, 403, "accessDenied", times=10_000))
    with pytest.raises(UserError):
        warehouse().read("select 1 as one")
    assert len(way.hits) == 1


@pytest.mark.parametrize(
    ("status", "reason", "message", "is_passing", "says"),
    [
        (429, "", "slow down", True, "run this again later"),
        (500, "internalError", "oops", True, "run this again later"),
        (
            400,
            "invalidQuery",
            "Transaction is aborted due to concurrent update",
            True,
            "run this again later",
        ),
        (
            400,
            "stopped",
            "Job execution was cancelled",
            False,
            "NBA_ML_BIGQUERY_TIMEOUT",
        ),
        (
            400,
            "bytesBilledLimitExceeded",
            "too much",
            False,
            "NBA_ML_BIGQUERY_MAX_BYTES",
        ),
        (403, "accessDenied", "Access Denied", False, "docs/bigquery.md"),
        (
            404,
            "notFound",
            "Not found: Table local:nba_analytics.player_game_summary was not found",
            False,
            "There is no source nba_analytics.player_game_summary; see dbt_project.yml",
        ),
        (
            404,
            "notFound",
            "Not found: Table example.com:p:nba_ml.training_set was not found",
            False,
            "training_set is not built in local.nba_ml. Run: dbt build -s training_set",
        ),
        (
            404,
            "notFound",
            "Not found: Dataset local:nba_ml was not found in location EU",
            False,
            "NBA_ML_BIGQUERY_LOCATION is US",
        ),
    ],
)
def test_errors_say_what_to_do(
    home: Home,
    way: Proxy,
    status: int,
    reason: str,
    message: str,
    is_passing: bool,
    says: str,
) -> None:
    way.faults.append(Fault(QUERIES, status, reason, message=message, times=10_000))
    with pytest.raises(UserError, match=re.escape(says)) as error:
        warehouse().read("select 1 as one")
    assert isinstance(error.value, WarehouseUnavailable) == is_passing


def test_an_error_without_a_text_has_a_name(home: Home) -> None:
    with (
        pytest.raises(WarehouseUnavailable, match="ConnectionError"),
        warehouse()._explained(),
    ):
        raise requests.ConnectionError


def test_an_endpoint_that_is_down_is_said_within_seconds(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled(home)
    monkeypatch.setenv("NBA_ML_BIGQUERY_ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    done = CliRunner().invoke(cli, ["sync"])
    assert time.monotonic() - started < 30
    assert done.exit_code == 1 and "run this again later" in done.output
    assert len(spool.pending(home.spool)) == 1


def test_a_dataset_that_is_missing_is_said(home: Home) -> None:
    elsewhere = dict(settings.read_profile(TARGET)) | {"dataset": "nowhere"}
    with pytest.raises(UserError, match="dbt build"):
        BigQuery(elsewhere).read("select * from model_events")


def test_one_bad_row_loads_nothing_of_its_transaction(home: Home) -> None:
    spooled(home)
    bad = {"event_id": "bad", "model_id": "x", "n": "no number"}
    spool.write(home.spool, [spool.Event("model_metrics", bad)])
    done = spool.sync(home)
    assert done.files == 1 and len(done.problems) == 1
    assert counts() == (1, 1) and len(spool.pending(home.spool)) == 1


@pytest.mark.parametrize(
    "row, message",
    [
        ({"event_id": "a", "colour": "red"}, "model_metrics in local.nba_ml has no"),
        ({"model_id": "x"}, "has no event_id"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(
    home: Home, row: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        warehouse().append({"model_metrics": [row]})
    with pytest.raises(UserError, match="dbt build -s no_table"):
        warehouse().append({"no_table": [{"event_id": "a"}]})


def test_a_large_batch_is_sent_in_parts(
    home: Home, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery, "REQUEST", 2_000)
    rows = [{"event_id": f"metric-{i}", "value": i / 3} for i in range(100)]
    rows += rows[:10]
    assert warehouse().append({"model_metrics": rows}) == {"model_metrics": 100}
    assert warehouse().append({"model_metrics": rows}) == {"model_metrics": 0}
    values = warehouse().read("select event_id, value from model_metrics")
    assert dict(values.itertuples(index=False)) == {
        row["event_id"]: row["value"] for row in rows
    }


def test_two_syncs_at_once_do_not_double(home: Home) -> None:
    for number in range(5):
        spooled(home, number)
    script = (
        "from nba_ml import settings, spool\nprint(spool.sync(settings.home()).files)"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    files = [int(one.communicate(timeout=60)[0]) for one in both]
    assert sum(files) == 5 and counts() == (5, 5)


def loaded(relation: str, rows: int) -> None:
    data = pa.table({"number": list(range(rows))})
    warehouse().claim(relation)
    warehouse().load(relation, data)


def rows(relation: str) -> int:
    return int(warehouse().read(f"select count(*) as n from {relation}")["n"].iloc[0])


@pytest.mark.parametrize("is_done", [False, True], ids=["refused", "answer lost"])
def test_a_load_that_is_cut_off_is_retried(
    home: Home, way: Proxy, is_done: bool
) -> None:
    relation = "nba_analytics.loaded"
    loaded(relation, 3)
    status = None if is_done else 503
    way.faults.append(Fault(LOADS, status, "backendError", is_done=is_done))
    loaded(relation, 5)
    assert way.hits and rows(relation) == 5


def test_a_load_that_stays_cut_off_leaves_the_old_table(home: Home, way: Proxy) -> None:
    relation = "nba_analytics.kept"
    loaded(relation, 5)
    way.faults.append(Fault(LOADS, times=10_000))
    with pytest.raises(WarehouseUnavailable, match="run this again later"):
        loaded(relation, 3)
    way.faults.clear()
    assert rows(relation) == 5
    loaded(relation, 3)
    assert rows(relation) == 3


@pytest.mark.parametrize("then", ["stays at it", "falls silent"])
def test_a_timeout_in_the_middle_of_a_load_says_so(
    home: Home, way: Proxy, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    relation = "nba_analytics.slow"
    loaded(relation, 1)
    monkeypatch.setenv("NBA_ML_BIGQUERY_TIMEOUT", "1")
    way.faults.append(Fault(LOADS, is_running=True, times=10))
    polled = Fault("/jobs/", is_running=then == "stays at it", times=10_000)
    way.faults.append(polled)
    with pytest.raises(WarehouseUnavailable, match="run this again later"):
        loaded(relation, 2)
    assert len([path for path in way.hits if "/jobs/" in path]) >= 1
    way.faults.clear()
    loaded(relation, 2)
    assert rows(relation) == 2


def test_missing_packages_are_named_with_the_command() -> None:
    script = (
        "import sys; sys.modules['google.cloud'] = None\n"
        "from nba_ml.settings import UserError, Home\n"
        "from nba_ml.warehouse import connect\n"
        "try:\n    connect(Home('x', 'bigquery_emulator'))\n"
        "except UserError as error:\n    print(error.message)"
    )
    variables = os.environ | {"NBA_ML_BIGQUERY_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=variables
    )
    assert "Run: make bigquery" in done.stdout, done.stderr
