"""What changed is told once, to a webhook that may fail and whose address is secret."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import small_warehouse
from nba_ml import alerting, deployment, spool
from nba_ml.alerting import Untold
from nba_ml.cli import cli
from nba_ml.settings import Home
from nba_ml.warehouse import DuckDB, WarehouseUnavailable

SECRET = "T0000-B0000-s3cr3t"
OPENED = "Critical alert, opened on 2024-03-28: bias is 2. What to do: docs/here"
CLOSED = "Closed on 2024-03-29: the critical alert of 2024-03-28. bias is 2."


@dataclass
class Webhook:
    """What Slack would be: it gives its statuses one after another, then 200."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    def answer(self, path: str, body: bytes) -> int:
        self.asked += 1
        assert path == f"/services/{SECRET}"
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            [text] = json.loads(body).values()
            self.texts.append(text)
        return status


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    found = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(found.answer(self.path, body))
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()


@pytest.fixture
def home(watched: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Nothing in production, one critical alert open; current for the commands."""
    shutil.copy(watched.warehouse, tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    monkeypatch.setenv("NBA_ML_AS_OF", small_warehouse.NOON)
    monkeypatch.delenv("NBA_ML_WEBHOOK", raising=False)
    monkeypatch.setattr(alerting, "PATIENCE", alerting.PATIENCE.new(backoff_factor=0))
    found = Home(tmp_path)
    raise_alert(found, "one")
    return found


def raise_alert(home: Home, alert_id: str, severity: str = "critical") -> None:
    small_warehouse.change(
        DuckDB(home.warehouse),
        "insert into alerts by name select ? as alert_id, 'bias' as rule,"
        " ? as severity, 'model' as area, date '2024-03-28' as opened_on,"
        " true as is_open, 'bias is 2.' as explanation, 'docs/here' as remedy",
        [alert_id, severity],
    )


def close_alert(home: Home, alert_id: str, day: str) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse),
        "update alerts set is_open = false, closed_on = ? where alert_id = ?",
        [day, alert_id],
    )


def read(home: Home, sql: str) -> list[dict[str, Any]]:
    return DuckDB(home.warehouse).read(sql).to_dict("records")


def messages(home: Home) -> list[tuple[str, str]]:
    rows = read(home, "select alert_id, change from alert_messages order by all")
    return [(row["alert_id"], row["change"]) for row in rows]


def invoke(*arguments: str) -> Result:
    done = CliRunner().invoke(cli, ["alerts", *arguments])
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert SECRET not in done.output
    return done


# what is shown


def test_open_alerts_are_shown_and_a_critical_one_ends_with_an_error(
    home: Home,
) -> None:
    done = invoke()
    assert done.exit_code == 1
    assert "bias is 2." in done.stdout and "docs/here" in done.stdout
    assert "1 alerts are open, 1 of them critical." in done.stdout
    close_alert(home, "one", "2024-03-29")
    raise_alert(home, "two", "warning")
    done = invoke()
    assert done.exit_code == 0, "a warning is no error"
    assert "1 alerts are open, 0 of them critical." in done.stdout
    assert [row["alert_id"] for row in json.loads(invoke("--json").stdout)] == ["two"]
    rows = json.loads(invoke("--all", "--json").stdout)
    assert [row["alert_id"] for row in rows] == ["two", "one"], "open ones first"
    assert "2024-03-29" in invoke("--all").stdout


def test_what_sql_cannot_see_is_written_down_before_the_rules_are_asked(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def asked(home: Home, closed: bool) -> list[dict[str, Any]]:
        rows = read(home, "select failures from health_checks order by failures")
        seen.append(rows[-1]["failures"])
        return []

    monkeypatch.setattr(alerting, "read", asked)
    invoke()
    monkeypatch.setattr(deployment, "differences", lambda home: ["One.", "Two."])
    invoke()
    assert seen == [0, 2]
    rows = read(home, "select * from health_checks order by failures")
    assert [row["explanation"] for row in rows] == ["", "One.\nTwo."]
    assert {row["check_name"] for row in rows} == {"registry_out_of_step"}
    assert rows[0]["checked_at"].isoformat() == small_warehouse.NOON


# what is told


def test_each_change_is_told_once(home: Home, webhook: Webhook) -> None:
    raise_alert(home, "gone")
    close_alert(home, "gone", "2024-03-29")  # over before anybody was told
    for _ in range(2):
        assert invoke("--webhook", webhook.url).exit_code == 1
        assert webhook.texts == [OPENED]
    close_alert(home, "one", "2024-03-30")
    for _ in range(2):
        assert invoke("--webhook", webhook.url).exit_code == 0
    assert webhook.texts == [OPENED, CLOSED.replace("29", "30")]
    assert messages(home) == [("one", "closed"), ("one", "opened")]
    [row] = read(home, "select * from alert_messages where change = 'opened'")
    assert (row["severity"], row["text"]) == ("critical", OPENED)


def test_who_was_told_that_it_opened_is_told_that_it_closed(
    home: Home, webhook: Webhook
) -> None:
    # by a week that began before the first message; and by data that came late
    raise_alert(home, "two", "warning")
    invoke("--webhook", webhook.url)
    close_alert(home, "one", "2024-03-29")
    small_warehouse.change(
        DuckDB(home.warehouse), "delete from alerts where alert_id = 'two'", []
    )
    told = webhook.texts[1]
    for _ in range(2):
        invoke("--webhook", webhook.url)
        assert sorted(webhook.texts[2:]) == [
            CLOSED,
            f"Withdrawn, by later data: {told}",
        ]
    assert messages(home)[2:] == [("two", "closed"), ("two", "opened")]


def test_without_a_webhook_nothing_is_told_and_the_environment_names_one(
    home: Home, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke()
    assert (webhook.asked, messages(home)) == (0, [])
    monkeypatch.setenv("NBA_ML_WEBHOOK", webhook.url)
    assert "1 messages posted" in invoke().stderr
    assert webhook.texts == [OPENED]


def test_a_webhook_that_fails_for_a_while_is_asked_again(
    home: Home, webhook: Webhook
) -> None:
    webhook.statuses = [500, 429, 503]
    invoke("--webhook", webhook.url)
    assert (webhook.texts, webhook.asked) == ([OPENED], 4)
    assert messages(home) == [("one", "opened")]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_webhook_that_does_not_take_it_is_said_and_told_next_time(
    home: Home, webhook: Webhook, status: int
) -> None:
    webhook.statuses = [status] * 99
    webhook.headers = {"Location": "/elsewhere"}
    done = invoke("--webhook", webhook.url)
    assert done.exit_code == Untold.exit_code == 3
    assert "bias is 2." in done.stdout, "the alert is shown all the same"
    assert f"127.0.0.1 did not take a message: status {status}" in done.stderr
    assert webhook.asked == (5 if status == 500 else 1)
    assert messages(home) == [] and spool.rows(home.spool, "alert_messages") == []
    webhook.statuses = []
    assert invoke("--webhook", webhook.url).exit_code == 1
    assert webhook.texts == [OPENED]


def test_what_was_taken_before_a_failure_is_recorded(
    home: Home, webhook: Webhook
) -> None:
    raise_alert(home, "two", "warning")
    webhook.statuses = [200, *[404] * 9]
    assert invoke("--webhook", webhook.url).exit_code == 3
    # a status of 200 that is given is taken, too
    assert messages(home) == [("one", "opened")]
    webhook.statuses = []
    invoke("--webhook", webhook.url)
    assert len(webhook.texts) == 2 and "Warning" in webhook.texts[1]


def test_a_locked_warehouse_forgets_no_message(
    home: Home, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(self: DuckDB, batch: Any) -> dict[str, int]:
        raise WarehouseUnavailable("It is in use.")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDB, "append", locked)
        assert alerting.tell(home, webhook.url) == 1
        assert alerting.tell(home, webhook.url) == 0, "it is in the spool"
    assert alerting.tell(home, webhook.url) == 0
    assert messages(home) == [("one", "opened")]
    assert webhook.texts == [OPENED]


def test_killed_before_the_record_it_is_told_again(
    home: Home, webhook: Webhook
) -> None:
    script = (
        "import os, signal; from nba_ml import alerting, settings, spool\n"
        "spool.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"alerting.tell(settings.home(), {webhook.url!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert (webhook.texts, messages(home)) == ([OPENED], [])
    for _ in range(2):
        invoke("--webhook", webhook.url)
    assert webhook.texts == [OPENED] * 2, "twice, never not at all"
    assert messages(home) == [("one", "opened")]


# the secret


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:9/services/{}", "127.0.0.1 .*ConnectionError"),
        ("http://user:{}@127.0.0.1:9/", "127.0.0.1 .*ConnectionError"),
        ("hooks.slack.com/services/{}", "MissingSchema"),
        ("http://[{}/", "ValueError|InvalidURL"),
    ],
)
def test_the_secret_is_never_shown(
    url: str,
    problem: str,
    home: Home,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Untold, match=problem) as caught:
        alerting.post(url.format(SECRET), "text")
    assert SECRET not in caught.value.message
    assert SECRET not in caplog.text + "".join(capfd.readouterr())
    # the guard has something to guard: by itself the library shows it
    logger = logging.getLogger("urllib3.connectionpool")
    logger.setLevel(logging.NOTSET)
    try:
        with pytest.raises(Untold):
            alerting.post("http://127.0.0.1:9/" + SECRET, "text")
        assert SECRET in caplog.text
    finally:
        logger.setLevel(logging.ERROR)
