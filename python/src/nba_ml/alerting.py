"""Alerts: what SQL cannot see is written down for it; what changed is told once."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from nba_ml import deployment, spool
from nba_ml.files import locked
from nba_ml.settings import Home, UserError, clock
from nba_ml.spool import Event
from nba_ml.warehouse import WarehouseUnavailable, connect, records

# a message is repeated after 0, 1, 2 and 4 seconds, or when the webhook says
PATIENCE = Retry(
    total=4,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
    retry_after_max=60,
)
# it warns of each repetition, with the webhook's secret in it
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class Untold(UserError):
    """The webhook did not take a message; nothing says that it did."""

    exit_code = 3


def look(home: Home) -> list[str]:
    """Write down whether registry and serving agree, for the rules; returns notes."""
    found = deployment.differences(home)
    row = {
        "event_id": str(uuid4()),
        "check_name": "registry_out_of_step",
        "checked_at": clock().isoformat(),
        "failures": len(found),
        "explanation": "\n".join(found),
    }
    return spool.record(home, "health_checks", [row])[1]


def read(home: Home, closed: bool = False) -> list[dict[str, Any]]:
    """Open alerts, with `closed` all; critical ones first, then the newest."""
    found = connect(home).read(
        "select * from alerts where is_open or ? "
        "order by is_open desc, severity, opened_on desc, rule, subject",
        [closed],
    )
    return records(found)


def tell(home: Home, url: str) -> int:
    """Post each change of an alert that was not posted yet; returns how many.

    A change is recorded after its post: killed in between, it is posted again, so that
    none is lost. Raises Untold; what was posted before is recorded.
    """
    count = 0
    with locked(home.spool / ".alerting"):
        # the spool first: an event leaves it only after its commit
        waiting = spool.rows(home.spool, "alert_messages")
        told = {(row["alert_id"], row["change"]) for row in waiting}
        changes = connect(home).read(
            "select alert_id, change, severity, text from alert_changes"
            " where posted_at is null order by changed_on, change desc, alert_id"
        )
        try:
            for change in changes.to_dict("records"):
                key = change["alert_id"], change["change"]
                if key not in told:
                    post(url, change["text"])
                    row = {"event_id": ":".join(key), **change}
                    row["posted_at"] = clock().isoformat()
                    spool.write(home.spool, [Event("alert_messages", row)])
                    count += 1
        finally:
            with suppress(WarehouseUnavailable):  # the next sync, then
                spool.sync(home)
    return count


def post(url: str, text: str) -> None:
    """Post one message as Slack reads it, with patience.

    Raises Untold, which names the host alone: the rest of the address is the secret.
    """
    host = "?"
    try:
        host = urlsplit(url).hostname or host
        with requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(max_retries=PATIENCE))
            answer = session.post(
                url, json={"text": text}, timeout=10, allow_redirects=False
            )
        if answer.status_code in range(200, 300):
            return
        problem = f"status {answer.status_code}"
    except (requests.RequestException, ValueError) as error:
        problem = type(error).__name__
    raise Untold(
        f"The webhook at {host} did not take a message: {problem}. Check its address "
        "and the network."
    )
