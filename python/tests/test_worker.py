"""The worker: what it answers, what it logs, and what it survives."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import jsonschema
import pandas as pd
import pytest
import schemathesis
from click.testing import CliRunner
from starlette.testclient import TestClient

import small_warehouse
from nba_ml import (
    artefact,
    journal,
    lineup,
    prediction,
    probe,
    registry,
    scoring,
    serving,
    spool,
    training,
)
from nba_ml import worker as worker_module
from nba_ml.cli import cli
from nba_ml.serving import ProductionModel, StagingModel
from nba_ml.settings import PROJECT, Home
from nba_ml.warehouse import DuckDB

TOKEN = "a-long-random-text"
PLAYER = {"player_lookup": "player07"}
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx`")


@pytest.fixture(scope="module")
def template(
    trained: tuple[Home, training.Trained], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """A champion, its slate, and a second model; copy it, never change it."""
    home = Home(tmp_path_factory.mktemp("served"))
    shutil.copytree(trained[0].root, home.root, dirs_exist_ok=True)
    config = small_warehouse.config()
    parameters = {**config.parameters, "learning_rate": 0.1}
    training.train(home, replace(config, parameters=parameters))
    prediction.predict(home, model_id="xgboost_v1.0.0")
    serving.write_config(serving.open_serving(home), champion(home), None)
    return home


@pytest.fixture
def home(template: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A state folder of one's own in which xgboost_v1.0.0 serves."""
    shutil.copytree(template.root, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    return Home(tmp_path)


@pytest.fixture(autouse=True)
def quick_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the log is ready for a sync at once."""
    monkeypatch.setattr(journal, "AGE", 0.05)
    logging.getLogger("httpx").setLevel(logging.WARNING)


@pytest.fixture
def client(home: Home) -> Iterator[TestClient]:
    with serving_client(home) as found:
        yield found


def serving_client(home: Home, token: str | None = None) -> TestClient:
    app = worker_module.create_app(home, token, poll=0.05)
    return TestClient(app, raise_server_exceptions=False)


def champion(home: Home, model_id: str = "xgboost_v1.0.0") -> ProductionModel:
    row = registry.choose(home, model_id)
    return ProductionModel(model_id, row["gcs_path"], row["artifact_sha256"])


def challenger(home: Home, split: float, mode: Any = "split") -> StagingModel:
    one = champion(home, "xgboost_v1.1.0")
    return StagingModel(one.model_id, one.gcs_path, one.sha256, split, mode)


def serve(home: Home, *models: Any) -> int:
    """Write the configuration; its generation."""
    return serving.write_config(serving.open_serving(home), *models).generation


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def logged(home: Home, table: str = "request_log") -> pd.DataFrame:
    """Rows of a table after everything was synced."""

    def is_synced() -> bool:
        assert spool.sync(home).problems == []
        return not [*spool.pending(home.spool), *home.spool.glob(f".*{spool.SEGMENT}")]

    wait_for(is_synced)
    return DuckDB(home.warehouse).read(f"select * from {table}")


class Running:
    """`nba-ml serve` as a process of its own, on a free port."""

    def __init__(self, home: Home, *options: str, **variables: str) -> None:
        command = [sys.executable, "-c", "from nba_ml.cli import cli; cli()", "serve"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--poll", "0.05", *options],
            env=small_warehouse.environment(home) | variables,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.url = ""
        threading.Thread(target=self._read, daemon=True).start()
        wait_for(lambda: self.url or self.process.poll() is not None)
        assert self.url, self.lines

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if match := re.search(r"running on (http://[\d.]+:\d+)", line):
                self.url = match[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Load:
    """Four clients that ask until they are stopped, and remember every answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[httpx.Response] = []
        self.broken: list[Exception] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[n]) for n in range(4)]

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not self._stopped.is_set():
                try:
                    if number:
                        answer = client.post("/predict", json=PLAYER)
                    else:
                        answer = client.post("/predict/slate", json={})
                    self.answers.append(answer)
                except httpx.TransportError as error:
                    self.broken.append(error)
                    return

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: len(self.answers) > 40)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def statuses(self) -> Counter[int]:
        return Counter(answer.status_code for answer in self.answers)

    def predictions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for answer in self.answers:
            content = answer.json() if answer.status_code == 200 else {}
            found += content.get("predictions", [content] if content else [])
        return found

    def assert_logged_once(self, home: Home) -> None:
        """Every answer is in the log exactly once, with what was answered."""
        predictions, requests = logged(home, "prediction_log"), logged(home)
        again = spool.sync(home)
        assert sum(again.rows.values()) == 0
        known = predictions.set_index("prediction_id")
        assert known.index.is_unique
        for row in self.predictions():
            entry = known.loc[row["prediction_id"]]
            assert entry["predicted_points"] == row["predicted_points"]
            assert entry["request_id"] == row["request_id"]
        statuses = requests.set_index("request_id")["status"]
        assert statuses.index.is_unique
        for answer in self.answers:
            assert statuses[answer.headers["x-request-id"]] == answer.status_code


# what is answered


def test_a_prediction_is_what_predict_says_and_is_logged(home: Home) -> None:
    rows = prediction.predict(home, model_id="xgboost_v1.0.0").rows
    expected = rows.set_index("player_lookup")
    with serving_client(home) as client:
        answer = client.post("/predict", json=PLAYER | {"game_date": "2024-03-30"})
        slate = client.post("/predict/slate", json={}).json()
    found = answer.json()
    assert answer.status_code == 200
    assert found["request_id"] == answer.headers["x-request-id"]
    assert slate["predictions"][7]["predicted_points"] == found["predicted_points"]
    assert len(slate["predictions"]) == 60 and slate["skipped"] == []
    names = ["predicted_points", "predicted_low", "predicted_high", "confidence"]
    names += ["features_hash", "game_id", "mode", "predicted_at"]
    for row in slate["predictions"]:
        for name in names:
            assert row[name] == expected.at[row["player_lookup"], name], name
    log = logged(home, "prediction_log").set_index("prediction_id")
    row = log.loc[found["prediction_id"]]
    assert row["variant"] == found["variant"] == "production"
    assert row["dbt_invocation_id"] == "invocation" and row["features"]
    requests = logged(home).sort_values("requested_at")
    assert requests["route"].tolist() == ["/predict", "/predict/slate"]
    assert requests["row_count"].tolist() == [1, 60]
    assert (requests["status"] == 200).all() and (requests["latency_ms"] > 0).all()
    assert set(requests["model_id"]) == {"xgboost_v1.0.0"}


def test_requests_are_dated_by_the_clock_of_a_replay(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_AS_OF", "2024-03-30")
    client.post("/predict", json=PLAYER)
    assert set(logged(home)["requested_at"]) == {pd.Timestamp("2024-03-30 12:00")}


def test_health_and_facts_are_told_and_not_logged(
    home: Home, client: TestClient
) -> None:
    for path in ("/healthz", "/readyz"):
        assert client.get(path).json() == {"model_id": "xgboost_v1.0.0"}
    report = client.get("/model").json()
    assert report["generation"] == 1 and report["problems"] == []
    expected = champion(home)
    assert report["production"]["sha256"] == expected.sha256
    assert report["production"]["is_loaded"] and report["staging"] is None
    pointer = serving.read_pointer(serving.open_serving(home), "v1")
    assert report["slate"]["features_hash"] == pointer.features_hash
    assert report["slate"]["dbt_invocation_id"] == "invocation"
    assert report["xgboost"].startswith("3.")
    client.post("/predict", json=PLAYER)
    metrics = client.get("/metrics").text
    for line in (
        'nba_ml_requests_total{route="/predict",status="200"} 1.0',
        'nba_ml_predictions_total{model_id="xgboost_v1.0.0",variant="production"} 1.0',
        'nba_ml_request_seconds_count{route="/predict"} 1.0',
        "nba_ml_generation 1.0",
        "nba_ml_reloads_total 1.0",
        "nba_ml_unflushed_events 0.0",
        "nba_ml_spool_files 0.0",
    ):
        assert line in metrics
    assert 'nba_ml_worker_info{features_hash="' in metrics
    assert logged(home)["route"].tolist() == ["/predict"]


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/predict", {"json": {"player_lookup": "nobody"}}, 404, "nobody is not expected"),
    ("/predict", {"json": PLAYER | {"game_id": "x"}}, 404, "in a game x"),
    ("/predict", {"json": PLAYER | {"game_date": "2024-03-31"}}, 404, "the slate is"),
    ("/predict/slate", {"json": {"game_date": "2024-03-31"}}, 404, "the slate is"),
    ("/predict", {"json": PLAYER | {"game_date": "soon"}}, 422, "body.game_date"),
    ("/predict", {"json": PLAYER | {"game_date": "2025-13-45"}}, 422, "game_date"),
    ("/predict", {"json": {"player_lookup": 7}}, 422, "body.player_lookup"),
    ("/predict", {"json": {"player_lookup": ""}}, 422, "at least 1 character"),
    ("/predict", {"json": {"player_lookup": "x" * 101}}, 422, "at most 100 char"),
    ("/predict", {"json": PLAYER | {"model": "best"}}, 422, "body.model: Extra"),
    ("/predict", {"json": PLAYER | {"contributions": 1}}, 422, "body.contributions"),
    ("/predict", {"json": {}}, 422, "body.player_lookup: Field required"),
    ("/predict", {"content": b"{"}, 422, "body"),
    ("/predict", {"content": b"\xff{"}, 422, ""),
    ("/predict", {"content": b"[" * 60_000}, 422, ""),
    ("/predict/slate", {"json": {"players": ["a"] * 1001}}, 422, "at most 1000 items"),
    ("/predict/slate", {"json": {"players": []}}, 422, "at least 1 item"),
    ("/predict", {"content": b"x" * 65_537}, 413, "more than 65,536 bytes"),
    ("/other", {"content": b"x" * 65_537}, 413, "more than 65,536 bytes"),
    ("/other", {"json": {}}, 404, "Not Found. GET /openapi.json"),
    ("/predict/", {"json": PLAYER}, 404, "Not Found"),
]


def test_each_refusal_says_why_and_is_logged(home: Home, client: TestClient) -> None:
    routes = {"/predict", "/predict/slate"}
    expected = []
    for path, content, status, message in REFUSED:
        headers = {"content-type": "application/json"}
        answer = client.post(path, headers=headers, **content)
        found = answer.json()
        assert (answer.status_code, message in found["error"]) == (status, True), found
        assert found["request_id"] == answer.headers["x-request-id"]
        assert "Traceback" not in answer.text and len(answer.text) < 1000
        route = path if path in routes else "other"
        expected.append((found["request_id"], route, status, 0))
    answer = client.get("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    expected.append((answer.headers["x-request-id"], "/predict", 405, 0))
    rows = logged(home)[["request_id", "route", "status", "row_count"]]
    assert set(rows.itertuples(index=False, name=None)) == set(expected)


def test_of_a_slate_those_who_cannot_be_scored_are_named(
    home: Home, client: TestClient
) -> None:
    names = ["player03", "nobody", "player01", "player03"]
    found = client.post("/predict/slate", json={"players": names}).json()
    rows = [row["player_lookup"] for row in found["predictions"]]
    assert rows == ["player03", "player01"]
    assert [row["player_lookup"] for row in found["skipped"]] == ["nobody"]
    assert "is not expected in a game" in found["skipped"][0]["reason"]


def newcomer(home: Home, name: str) -> None:
    """Publish the slate anew, in which a player has 9 games only."""
    store = serving.open_serving(home)
    old = serving.read_snapshot(store, serving.read_pointer(store, "v1"))
    rows, pointer = old.rows.copy(), old.pointer
    rows.loc[rows["player_lookup"] == name, "games_played_prior"] = 9
    build = {"as_of": datetime.fromisoformat(pointer.as_of)}
    build["dbt_invocation_id"] = pointer.dbt_invocation_id
    new, content = serving.take_snapshot(rows, old.features, pointer.mode, build)
    serving.publish(store, new.pointer, content)


def test_who_has_too_few_games_is_told_so(home: Home) -> None:
    newcomer(home, "player07")
    with serving_client(home) as client:
        answer = client.post("/predict", json=PLAYER)
        assert answer.status_code == 404
        assert "has played 9 games" in answer.json()["error"]
        slate = client.post("/predict/slate", json={}).json()
    assert len(slate["predictions"]) == 59
    [skipped] = slate["skipped"]
    assert skipped["player_lookup"] == "player07"
    assert "10 or more" in skipped["reason"]


def test_answers_are_what_the_openapi_says(client: TestClient) -> None:
    # they are written without the models, so only this holds them together
    schema = client.get("/openapi.json").json()
    why = {"contributions": True}
    for method, path, content in (
        ("post", "/predict", PLAYER | why),
        ("post", "/predict/slate", {"players": ["player01", "nobody"]} | why),
        ("get", "/healthz", None),
        ("get", "/readyz", None),
        ("get", "/model", None),
    ):
        answer = client.request(method, path, json=content)
        described = schema["paths"][path][method]["responses"]["200"]
        whole = described["content"]["application/json"]["schema"]
        whole = whole | {"components": schema["components"]}
        jsonschema.validate(answer.json(), whole)
        [name] = re.findall(r"\w+$", whole["$ref"])
        known = schema["components"]["schemas"][name]["properties"]
        assert set(answer.json()) == set(known), path


# who may ask


def test_without_the_token_only_health_is_told(home: Home) -> None:
    with serving_client(home, TOKEN) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        for header in (None, TOKEN, "Bearer wrong", f"bearer {TOKEN}", "Bearer é"):
            given = {"authorization": header.encode()} if header else {}
            for path in ("/model", "/metrics", "/openapi.json", "/predict", "/x"):
                answer = client.post(path, json=PLAYER, headers=given)
                assert answer.status_code == 401, (header, path)
                assert answer.headers["www-authenticate"] == "Bearer"
        client.headers["authorization"] = f"Bearer {TOKEN}"
        assert client.post("/predict", json=PLAYER).status_code == 200
        assert client.get("/model").status_code == 200
    statuses = Counter(logged(home)["status"])
    assert statuses == {401: 10, 200: 1}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com"])
def test_others_are_not_served_without_a_token(
    home: Home, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.delenv("NBA_ML_TOKEN", raising=False)
    done = CliRunner().invoke(cli, ["serve", "--host", host])
    assert done.exit_code == 1 and "NBA_ML_TOKEN is not set" in done.output


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("NBA_ML_JOURNAL", "syslog", "Write spool or stdout"),
        ("NBA_ML_AS_OF", "yesterday", "is no timestamp"),
    ],
)
def test_a_wrong_environment_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, ["serve"])
    assert done.exit_code == 1 and message in done.output


# what is not there, or broken


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_without_a_model_it_waits_for_one(home: Home) -> None:
    serve(home, None, None)
    with serving_client(home) as client:
        for method, path in (("GET", "/readyz"), ("GET", "/healthz")):
            assert client.request(method, path).status_code == 503
        answer = client.post("/predict", json=PLAYER)
        assert answer.status_code == 503
        assert "No model is in production" in answer.json()["error"]
        report = client.get("/model").json()
        assert report["production"] is None and report["generation"] is None
        assert "No model is in production" in report["problems"][0]
        serve(home, champion(home), None)
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/predict", json=PLAYER).status_code == 200
        serve(home, None, None)
        wait_for(lambda: client.get("/readyz").status_code == 503)
    rows = logged(home).sort_values("requested_at")
    assert rows["status"].tolist() == [503, 200]
    assert rows["model_id"].tolist()[1] == "xgboost_v1.0.0"
    assert rows["model_id"].isna().tolist() == [True, False]


def features_gone(home: Home) -> None:
    (home.root / "serving/features_v1.json").unlink()


def features_damaged(home: Home) -> None:
    pointer = serving.read_pointer(serving.open_serving(home), "v1")
    path = home.root / "serving" / pointer.path
    path.write_bytes(path.read_bytes()[:-1])


def model_gone(home: Home) -> None:
    (home.models / "staging/xgboost_v1.0.0.json").unlink()


def model_damaged(home: Home) -> None:
    path = home.models / "staging/xgboost_v1.0.0.json"
    path.write_bytes(path.read_bytes()[:-1])


def config_damaged(home: Home) -> None:
    (home.root / "serving/model_config.yaml").write_text("generation: [")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (features_gone, "No features of version v1 are published"),
        (features_damaged, "is not the file that was published"),
        (model_gone, "There is no "),
        (model_damaged, "is not the file that was trained"),
        (config_damaged, "is no serving configuration"),
    ],
)
def test_what_is_broken_at_the_start_is_said(
    home: Home, harm: Callable[[Home], None], message: str
) -> None:
    harm(home)
    with serving_client(home) as client:
        for path in ("/predict", "/predict/slate"):
            body = PLAYER if path == "/predict" else {}
            answer = client.post(path, json=body)
            assert answer.status_code == 503 and message in answer.json()["error"]
        assert message in client.get("/model").json()["problems"][0]
        assert "nba_ml_reload_failures_total 0.0" not in client.get("/metrics").text


def test_what_breaks_later_leaves_what_serves(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    with serving_client(home) as client:
        path = home.models / "staging/xgboost_v1.1.0.json"
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        serve(home, champion(home, "xgboost_v1.1.0"), None)
        wait_for(lambda: client.get("/model").json()["problems"])
        time.sleep(0.3)
        report = client.get("/model").json()
        assert report["production"]["model_id"] == "xgboost_v1.0.0"
        assert report["generation"] == 1
        found = client.post("/predict", json=PLAYER).json()
        assert found["model_id"] == "xgboost_v1.0.0"
        said = [r for r in caplog.records if "file that was trained" in r.message]
        assert len(said) == 1, "each problem is logged once, not at each look"
        path.write_bytes(whole)
        wait_for(lambda: client.get("/model").json()["problems"] == [])
        found = client.post("/predict", json=PLAYER).json()
        assert found["model_id"] == "xgboost_v1.1.0"


def test_an_unforeseen_failure_shows_no_trace_and_is_logged(
    home: Home,
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr("nba_ml.lineup.Lineup.answer", broken)
        answer = client.post("/predict", json=PLAYER)
        patch.setattr(journal.os, "fsync", full)
        assert client.post("/predict", json=PLAYER).status_code == 500
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    record, _ = (one for one in caplog.records if one.exc_info)
    line = json.loads(worker_module.JsonLines().format(record))
    assert "secret" in line["trace"]
    assert line["request_id"] == answer.json()["request_id"]
    assert client.post("/predict", json=PLAYER).status_code == 200
    assert sorted(logged(home)["status"]) == [200, 500]


def test_a_watch_that_fails_unforeseen_goes_on(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("boom")

    with monkeypatch.context() as patch:
        patch.setattr("nba_ml.lineup.load", broken)
        wait_for(lambda: client.get("/model").json()["problems"])
        assert client.post("/predict", json=PLAYER).status_code == 200
    wait_for(lambda: client.get("/model").json()["problems"] == [])


def test_a_lazy_model_is_read_when_asked_and_found_when_moved(home: Home) -> None:
    serve(home, replace(champion(home), load_strategy="lazy"), None)
    app = worker_module.create_app(home, poll=60)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/readyz").status_code == 200
        assert not client.get("/model").json()["production"]["is_loaded"]
        # its file moves, and the watch has not looked yet
        (home.models / "production").mkdir()
        for path in (home.models / "staging").glob("xgboost_v1.0.0.*"):
            path.rename(home.models / "production" / path.name)
        moved = replace(champion(home), gcs_path="production/xgboost_v1.0.0.json")
        serve(home, replace(moved, load_strategy="lazy"), None)
        assert client.post("/predict", json=PLAYER).status_code == 200
        report = client.get("/model").json()
        assert report["production"]["is_loaded"] and report["generation"] == 3
    app = worker_module.create_app(home, poll=60)
    with TestClient(app, raise_server_exceptions=False) as client:
        (home.models / "production/xgboost_v1.0.0.json").unlink()
        answer = client.post("/predict", json=PLAYER)
        assert answer.status_code == 503 and "There is no" in answer.json()["error"]


def test_a_full_disk_answers_nothing_that_is_not_logged(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = [client.post("/predict", json=PLAYER)]
    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", full)
        for path in ("/predict", "/predict/slate", "/other"):
            answer = client.post(path, json=PLAYER if path == "/predict" else {})
            assert answer.status_code == 503
            assert "Not logged, so not answered" in answer.json()["error"]
            assert "predicted_points" not in answer.text
        assert client.get("/healthz").status_code == 200
    answered.append(client.post("/predict", json=PLAYER))
    found = logged(home, "prediction_log")
    mine = found[found["variant"] == "production"]
    ids = {answer.json()["prediction_id"] for answer in answered}
    assert set(mine["prediction_id"]) == ids


def test_a_passing_failure_of_the_disk_is_in_the_log_as_503(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, flush = [1], os.fsync

    def once(descriptor: int) -> None:
        if failures:
            failures.pop()
            raise OSError(5, "Input/output error")
        flush(descriptor)

    monkeypatch.setattr(journal.os, "fsync", once)
    client.post("/predict", json=PLAYER)
    [row] = logged(home).to_dict("records")
    assert (row["status"], row["row_count"]) == (503, 0)


# experiments


@pytest.mark.parametrize("mode", ["split", "shadow"])
def test_a_challenger_answers_its_share_or_nobody(home: Home, mode: str) -> None:
    staged = challenger(home, 0.3, mode)
    serve(home, champion(home), staged)
    with serving_client(home) as client:
        report = client.get("/model").json()["staging"]
        assert (report["mode"], report["traffic_split"]) == (mode, 0.3)
        rows = client.post("/predict/slate", json={}).json()["predictions"]
        singles = [
            client.post("/predict", json={"player_lookup": row["player_lookup"]}).json()
            for row in rows[:20]
        ]
    for row in [*rows, *singles]:
        below = scoring.bucket(staged.model_id, row["player_lookup"]) < 0.3
        is_staged = mode == "split" and below
        assert row["variant"] == ("staging" if is_staged else "production")
        assert row["model_id"].endswith("1.1.0" if is_staged else "1.0.0")
    log = logged(home, "prediction_log")
    log = log[log["request_id"] == rows[0]["request_id"]]
    count = Counter(log["variant"])
    if mode == "shadow":
        assert count == {"production": 60, "staging": 60}
    else:
        assert count["production"] + count["staging"] == 60 and min(count.values()) > 5
    assert set(logged(home)["row_count"]) == {60, 1}
    assert set(logged(home)["model_id"]) == {"xgboost_v1.0.0"}


def assert_explained(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row["contributions"]) == list(small_warehouse.FEATURES)
        total = row["expected_points"] + sum(row["contributions"].values())
        assert abs(total - row["predicted_points"]) < 0.001


def ask_why(home: Home) -> list[dict[str, Any]]:
    with serving_client(home) as client:
        slate = client.post("/predict/slate", json={"contributions": True}).json()
        one = client.post("/predict", json=PLAYER | {"contributions": True}).json()
    return [*slate["predictions"], one]


def test_contributions_sum_to_each_answer_by_its_own_model(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home, champion(home), challenger(home, 0.5))
    rows = ask_why(home)
    assert len(rows) == 61
    assert_explained(rows)
    expected = {row["model_id"]: row["expected_points"] for row in rows}
    assert sorted(expected) == ["xgboost_v1.0.0", "xgboost_v1.1.0"]
    assert len(set(expected.values())) == 2
    with serving_client(home) as client:
        plain = client.post("/predict", json=PLAYER).json()
    assert not {"contributions", "expected_points"} & set(plain)
    log = logged(home, "prediction_log")
    assert {row["prediction_id"] for row in rows} < set(log["prediction_id"])
    # not judged with those of the plain routes: they take longer
    slow = {"/predict?contributions", "/predict/slate?contributions"}
    assert set(logged(home)["route"]) == {"/predict"} | slow

    model = lineup.load(home).champion.scorer.model
    own = artefact.Model.contributions
    monkeypatch.setattr(
        artefact.Model, "contributions", lambda _, rows: own(model, rows)
    )
    with pytest.raises(AssertionError):
        assert_explained(ask_why(home))


def test_two_feature_versions_answer_side_by_side(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = small_warehouse.add_second_version(home)
    config = replace(small_warehouse.config(), feature_version="v2")
    newest = training.train(home, config).model_id
    assert newest == "xgboost_v2.0.0"
    one = champion(home, newest)
    split = StagingModel(newest, one.gcs_path, one.sha256, 0.5, "split")
    serve(home, champion(home), split)
    with serving_client(home) as client:
        rows = client.post("/predict/slate", json={}).json()["predictions"]
        assert {row["variant"] for row in rows} == {"production"}
        [problem] = client.get("/model").json()["problems"]
        assert "No features of version v2 are published" in problem

    prediction.predict(home)  # publishes what is served, both versions
    champions = {row["player_lookup"]: row["predicted_points"] for row in rows}
    rows = ask_why(home)
    names = {"production": tuple(small_warehouse.FEATURES), "staging": own}
    features = DuckDB(home.warehouse).read("select * from feature_store_v2")
    features = features[features["is_scheduled"]].set_index("player_lookup")
    model = lineup.load(home).challenger.scorer.model
    points = pd.Series(model.predict(features), features.index)
    for row in rows:
        is_staged = row["variant"] == "staging"
        assert is_staged == (scoring.bucket(newest, row["player_lookup"]) < 0.5)
        assert row["feature_version"] == ("v2" if is_staged else "v1")
        expected = points if is_staged else champions
        assert row["predicted_points"] == expected[row["player_lookup"]]
        assert tuple(row["contributions"]) == names[row["variant"]]
    assert len({row["features_hash"] for row in rows}) == 2
    log = logged(home, "prediction_log").set_index("prediction_id")
    for row in rows:
        vector = json.loads(log.at[row["prediction_id"], "features"])
        assert tuple(vector) == names[row["variant"]]

    # features of the other version are no features of this model
    read = serving.read_pointer
    monkeypatch.setattr(serving, "read_pointer", lambda store, _: read(store, "v1"))
    with serving_client(home) as client:
        [problem] = client.get("/model").json()["problems"]
        assert "trained on feature version v2, the rows are v1" in problem
        rows = client.post("/predict/slate", json={}).json()["predictions"]
    assert {row["variant"] for row in rows} == {"production"}


def test_the_split_over_http_is_that_of_the_golden_vectors(home: Home) -> None:
    vectors = pd.read_csv(PROJECT / "seeds/experiment_bucket_vectors.csv")
    vectors = vectors[vectors["experiment"] == "xgboost_v1.1.0"]
    assert len(vectors) >= 6
    warehouse = DuckDB(home.warehouse)
    for number, name in enumerate(vectors["player_lookup"]):
        small_warehouse.change(
            warehouse,
            "update feature_store_v1 set player_lookup = ?"
            " where is_scheduled and player_lookup = ?",
            [name, f"player{number:02d}"],
        )
    prediction.predict(home, model_id="xgboost_v1.0.0")
    for share in (0.45, 0.53, 0.6):
        serve(home, champion(home), challenger(home, share))
        with serving_client(home) as client:
            body = {"players": vectors["player_lookup"].tolist()}
            rows = client.post("/predict/slate", json=body).json()["predictions"]
        variants = [row["variant"] for row in rows]
        is_staged = (vectors["bucket"] < share).tolist()
        assert variants == ["staging" if one else "production" for one in is_staged]
        assert {"staging", "production"} == set(variants)


# the contract, by a machine that tries everything


def attack(cases: Any, headers: dict[str, str]) -> None:
    """Send 60 of `cases`, always the same; fail at an answer that is not promised."""

    @hypothesis.settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases)
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers)

    with suppress(hypothesis.errors.Unsatisfiable):  # nothing to get wrong in a GET
        send()


def attack_all(home: Home, token: str | None = None) -> None:
    # spelled as the check of ignored tokens spells it
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    app = worker_module.create_app(home, token)
    # a body that is wrong and too large, too, is refused for its size
    refusals = {"expected-statuses": [401, 404, 405, 413, 422]}
    checks = {"negative_data_rejection": refusals}
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json",
        app,
        config=schemathesis.Config.from_dict({"checks": checks}),
        headers=headers,
    )
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            attack(operation.as_strategy(generation_mode=mode), headers)


@pytest.mark.parametrize("token", [None, TOKEN])
def test_nothing_breaks_what_the_openapi_promises(
    home: Home, token: str | None
) -> None:
    attack_all(home, token)


def test_a_broken_promise_would_be_found(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_shown", lambda row: {})
    with pytest.raises(BaseExceptionGroup) as caught:
        attack_all(home)
    assert caught.group_contains(schemathesis.core.failures.Failure)


# real processes


def test_a_reload_under_load_fails_no_request(home: Home) -> None:
    with Running(home) as running:
        with Load(running.url) as load:
            for generation in range(2, 8):
                model_id = f"xgboost_v1.{(generation + 1) % 2}.0"
                serve(home, champion(home, model_id), None)
                newcomer(home, f"player{50 + generation}")
                wait_for(
                    lambda wanted=generation: (
                        httpx.get(f"{running.url}/model").json()["generation"] == wanted
                    )
                )
        assert load.broken == [] and set(load.statuses()) == {200}
        assert running.stop() == 0
    rows = load.predictions()
    assert {row["model_id"] for row in rows} == {"xgboost_v1.0.0", "xgboost_v1.1.0"}
    assert len({row["features_hash"] for row in rows}) > 3
    for answer in load.answers:
        content = answer.json()
        if "predictions" in content:
            hashes = {row["features_hash"] for row in content["predictions"]}
            assert hashes == {content["features_hash"]}, "one lineup for one request"
            assert len({row["model_id"] for row in content["predictions"]}) == 1
    load.assert_logged_once(home)


def test_killed_under_load_every_answer_is_in_the_log_once(home: Home) -> None:
    with (
        Running(home) as first,
        Running(home) as second,
        Load(first.url) as load,
        Load(second.url) as other,
    ):
        spool.sync(home)
        first.stop(signal.SIGKILL)
        second.stop(signal.SIGKILL)
    assert len(load.broken) == len(other.broken) == 4
    load.answers += other.answers
    load.assert_logged_once(home)
    assert list(home.spool.glob("*.jsonl")) == []


def test_terminated_under_load_it_finishes_and_loses_nothing(home: Home) -> None:
    with Running(home) as running:
        with Load(running.url) as load:
            assert running.stop() == 0
        assert set(load.statuses()) == {200}
    assert all(isinstance(e, httpx.TransportError) for e in load.broken)
    assert list(home.spool.glob(f".*{spool.SEGMENT}")) == [], "it is closed"
    load.assert_logged_once(home)


def test_a_body_in_chunks_is_bounded(home: Home) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    with Running(home, NBA_ML_TOKEN=TOKEN) as running:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=running.url, headers=headers) as client:
            answer = client.post("/predict", content=chunks())
            assert answer.status_code == 413
            assert client.post("/predict", json=PLAYER).status_code == 200
        assert running.stop() == 0
    for line in map(json.loads, running.lines):
        assert TOKEN not in json.dumps(line) and "player07" not in json.dumps(line)
    answered = [json.loads(x) for x in running.lines if '"answered"' in x]
    assert [line["status"] for line in answered] == [413, 200]
    assert {"request_id", "route", "latency_ms"} <= set(answered[0])


def test_the_warehouse_is_never_opened(home: Home) -> None:
    home.warehouse.unlink()
    home.warehouse.mkdir()  # whoever opens it fails
    with Running(home) as running:
        assert httpx.get(f"{running.url}/healthz").status_code == 200
        assert httpx.post(f"{running.url}/predict", json=PLAYER).status_code == 200
        opened = Path(f"/proc/{running.process.pid}/fd")
        if opened.exists():
            names = [os.readlink(path) for path in opened.iterdir()]
            assert not any("duckdb" in name for name in names)
        assert running.stop() == 0


def test_a_deployer_sees_what_serves(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_TOKEN", TOKEN)
    serve(home, champion(home), challenger(home, 0.0, "shadow"))
    with Running(home) as running:
        through = probe.Worker(running.url)
        places = [champion(home, f"xgboost_v1.{n}.0") for n in (0, 1)]
        models = [(place.model_id, place.sha256) for place in places]
        assert through.look() == probe.Seen(*models, [])
        [row] = through.ask(["player07", "nobody"])
        assert row["model_id"] == "xgboost_v1.0.0"
        assert running.stop() == 0


def test_on_stdout_the_log_is_structured_lines(home: Home) -> None:
    with Running(home, NBA_ML_JOURNAL="stdout") as running:
        found = httpx.post(f"{running.url}/predict", json=PLAYER).json()
        assert running.stop() == 0
        assert running.process.stdout
        lines = [json.loads(line) for line in running.process.stdout]
    assert [line["nba_ml_table"] for line in lines] == ["prediction_log", "request_log"]
    assert lines[0]["row"]["prediction_id"] == found["prediction_id"]
    assert lines[1]["row"]["request_id"] == found["request_id"]
    assert not list(home.spool.glob("*.jsonl"))
