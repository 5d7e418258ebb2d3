"""Start a worker, ask it for one prediction over HTTP, and stop it.

    python python/ask_worker.py

The last step of `make run`. It serves what is in production, on a free port of this
machine, and asks for the player of whom the most points are expected.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

from nba_ml import settings

COMMAND = Path(sys.executable).with_name("nba-ml")
PATIENCE = 30.0  # seconds for the worker to be ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    token = settings.token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    command = [str(COMMAND), "serve", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as worker:
        try:
            wait(worker, url)
            slate = ask(url, "/predict/slate", {}, headers)["predictions"]
            best = max(slate, key=lambda one: one["predicted_points"])
            question = {"player_lookup": best["player_lookup"]}
            answer = ask(url, "/predict", question, headers)
        finally:
            worker.terminate()
    shown = ("model_id", "player_lookup", "game_id", "predicted_points")
    shown += ("predicted_low", "predicted_high", "confidence")
    print(f"POST {url}/predict {json.dumps(question)}")
    print(json.dumps({name: answer[name] for name in shown}, indent=2))
    print(f"That worker has ended. Start one: nba-ml serve   ({len(slate)} players)")


def wait(worker: subprocess.Popen[bytes], url: str) -> None:
    """Return when the worker is ready; end with what it says when it never is."""
    answer, deadline = "it does not answer", time.monotonic() + PATIENCE
    while time.monotonic() < deadline and worker.poll() is None:
        try:
            found = requests.get(f"{url}/readyz", timeout=5)
            if found.ok:
                return
            answer = found.json()["error"]
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"No prediction over HTTP: {answer}")


def ask(
    url: str, route: str, question: dict[str, str], headers: dict[str, str]
) -> dict[str, object]:
    answer = requests.post(url + route, json=question, headers=headers, timeout=10)
    if not answer.ok:
        raise SystemExit(f"{route} answered {answer.status_code}: {answer.text}")
    found: dict[str, object] = answer.json()
    return found


if __name__ == "__main__":
    main()
