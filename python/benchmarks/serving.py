"""A worker under load, beside a handler that one would write in an afternoon."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import BIN, FOREIGN
from nba_ml.settings import PROJECT, Home

PLAYERS = 300
# the worker; the same, its log thrown away; what one would write in an afternoon
KINDS = ("logged", "unlogged", "plain")
CONNECTIONS = 64
PLAIN = str(Path(__file__).with_name("plain_handler.py"))


def prepare(home: Home) -> int:
    """Serve the newest model over a slate of 300 players; the number of features.

    The slate's players are repeated, under other names, until there are enough.
    """
    import pandas as pd

    from nba_ml import prediction, registry, serving

    prediction.predict(home)
    store = serving.open_serving(home)
    row = registry.choose(home, None)
    pointer = serving.read_pointer(store, row["feature_version"])
    snapshot = serving.read_snapshot(store, pointer)
    rows = snapshot.rows[snapshot.rows["games_played_prior"] >= 20]
    copies = -(-PLAYERS // len(rows))
    rows = pd.concat([rows] * copies, ignore_index=True).iloc[:PLAYERS]
    rows["player_lookup"] = [f"player{number:03d}" for number in range(PLAYERS)]
    build = {"as_of": pd.Timestamp(pointer.as_of)}
    build["dbt_invocation_id"] = pointer.dbt_invocation_id
    found, content = serving.take_snapshot(rows, snapshot.features, "live", build)
    serving.publish(store, found.pointer, content)
    file = (row["model_id"], row["gcs_path"], row["artifact_sha256"])
    serving.write_config(store, serving.ProductionModel(*file), None)
    return len(snapshot.features.names)


@dataclass(frozen=True)
class Process:
    """A server of ours: seconds from its start until it was ready."""

    pid: int
    port: int
    ready: float

    @property
    def resident_mb(self) -> float:
        shown = ["ps", "-o", "rss=", "-p", str(self.pid)]
        return int(subprocess.check_output(shown)) / 1024


@contextmanager
def running(home: Home, kind: str) -> Iterator[Process]:
    """One of KINDS, on a free port, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(BIN / "python"), "-c", "from nba_ml.cli import cli; cli()", "serve"]
    command += ["--port", str(port)]
    if kind == "plain":
        command = [str(BIN / "python"), PLAIN, str(home.root), str(port)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    kept["NBA_ML_HOME"] = str(home.root)
    kept["NBA_ML_JOURNAL"] = "stdout" if kind == "unlogged" else "spool"
    begun, nowhere = time.perf_counter(), subprocess.DEVNULL
    child = subprocess.Popen(
        command, cwd=PROJECT, env=kept, stdout=nowhere, stderr=nowhere
    )
    try:
        while not _is_ready(port):
            if child.poll() is not None or time.perf_counter() > begun + 60:
                raise SystemExit(f"{' '.join(command)} did not get ready")
            time.sleep(0.005)
        yield Process(child.pid, port, time.perf_counter() - begun)
    finally:
        child.terminate()
        child.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            return b" 200 " in connection.recv(100)
    except OSError:
        return False


def load(port: int, rate: float, seconds: float, path: str) -> tuple[list[float], int]:
    """Sorted latencies of requests that come at their time, answered or not; failures.

    A latency counts from when the request was due: who waits for a connection waits.
    """
    import uvloop

    return uvloop.run(_load(port, int(rate * seconds), 1 / rate, path))


async def _load(
    port: int, count: int, pause: float, path: str
) -> tuple[list[float], int]:
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    free = asyncio.Queue()
    for _ in range(min(count, CONNECTIONS)):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    latencies: list[float] = []

    async def ask(number: int, due: float) -> None:
        reader, writer = await free.get()
        body = json.dumps({"player_lookup": f"player{number % PLAYERS:03d}"})
        body = body if path == "/predict" else "{}"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: (\d+)", answer)
        await reader.readexactly(int(size[1]) if size else 0)
        if answer.startswith(b"HTTP/1.1 200"):
            latencies.append(time.perf_counter() - due)
        free.put_nowait((reader, writer))

    begun = time.perf_counter() + 0.1
    asked = []
    for number in range(count):
        due = begun + number * pause
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        asked.append(asyncio.create_task(ask(number, due)))
    await asyncio.gather(*asked, return_exceptions=True)
    return sorted(latencies), count - len(latencies)


def share(latencies: list[float], part: float) -> float:
    """The latency that `part` of the requests do not exceed."""
    return latencies[min(int(part * len(latencies)), len(latencies) - 1)]


def measure(home: Home, kind: str, in_child: Callable[..., Any]) -> dict[str, float]:
    """Seconds, megabytes and the highest rate of one kind of server."""
    with running(home, kind) as process:

        def ask(rate: float, seconds: float, path: str = "/predict") -> Any:
            return in_child(load, process.port, rate, seconds, path)

        def holds(rate: float) -> bool:
            latencies, failed = ask(rate, 4)
            return not failed and share(latencies, 0.99) <= 0.05

        ask(20, 2)  # what is first is no measure
        found = {"ready": process.ready, "slow": share(ask(20, 5)[0], 0.5)}
        if kind != "plain":
            latencies, failed = ask(200, 20)
            found |= {"half": share(latencies, 0.5), "most": share(latencies, 0.99)}
            found |= {"failed": float(failed)}
            found["slate"] = share(ask(4, 5, "/predict/slate")[0], 0.5)
        found["peak"], found["rate"] = process.resident_mb, 0.0
        rate = 25.0
        while rate < 10_000 and holds(rate):
            found["rate"], rate = rate, rate * 1.5
        return found


def flush(folder: Path, count: int = 100) -> float:
    """Half of the flushes of a short line to this disk take no longer."""
    seconds = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(count):
            begun = time.perf_counter()
            file.write(b"x" * 1500)
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    return sorted(seconds)[count // 2]
