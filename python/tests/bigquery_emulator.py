"""BigQuery's API on loopback (python/emulator), and a proxy that breaks it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)

from nba_ml.settings import PROJECT

ENVIRONMENT = PROJECT / ".venv-emulator"
TARGET = "bigquery_emulator"
REMEDY = "Run: rm -rf .venv-emulator && make emulator"


@dataclass(frozen=True)
class Emulator:
    """A running emulator: where its API and its Storage API are."""

    endpoint: str
    storage: str

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that make the emulator the target."""
        return {"NBA_ML_TARGET": TARGET, "NBA_ML_BIGQUERY_ENDPOINT": self.endpoint}

    def storage_client(self) -> BigQueryReadClient:
        """A client of its Storage API; Google's library would go to Google."""
        # as Google's own transport has it; gRPC's default is 4 MB
        options = [("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(self.storage, options)
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """Start one with its data in `folder`; raises AssertionError when it cannot."""
    python = ENVIRONMENT / "bin/python"
    assert python.exists(), f"There is no {python}. {REMEDY}"
    port, grpc_port = _free_port(), _free_port()
    log = folder / "log.txt"
    options = {"host": "127.0.0.1", "port": port, "grpc-port": grpc_port}
    options["data-dir"] = folder / "data"
    command = [f"--{name}={value}" for name, value in options.items()]
    with log.open("w") as output:
        server = subprocess.Popen(
            [python, PROJECT / "python/emulator/serve.py", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # where DuckDB keeps its extensions
            env=os.environ | {"HOME": str(ENVIRONMENT)},
        )
    try:
        found = Emulator(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}")
        deadline = time.monotonic() + 60
        while not _answers(port):
            failed = server.poll() is not None or time.monotonic() > deadline
            assert not failed, (
                f"The BigQuery emulator does not start:\n{log.read_text()[-2000:]}\n"
                f"{REMEDY}, and see python/emulator/"
            )
            time.sleep(0.2)
        yield found
    finally:
        server.stdin.close()
        server.wait(timeout=20)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/bigquery/v2/projects/local/datasets")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Fault:
    """What happens to `times` requests whose path holds `path`, after `after` of them.

    `status` and `reason` are the answer in place of BigQuery's; without a status
    the connection is cut, after BigQuery did its work when `is_done` says so. With
    `is_running` BigQuery does it, and is said to be at it still.
    """

    path: str
    status: int | None = None
    reason: str = ""
    message: str = ""
    is_done: bool = False
    is_running: bool = False
    times: int = 1
    after: int = 0


@dataclass
class Proxy:
    """Forwards to an emulator, `faults` permitting; `hits` are paths it broke."""

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """A faulty way to the emulator at `endpoint`."""
    found = Proxy(endpoint)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.paths.append(self.path)
            fault = next((f for f in found.faults if f.path in self.path), None)
            if fault and fault.after:
                fault.after -= 1
                fault = None
            if fault:
                found.hits.append(self.path)
                fault.times -= 1
                if not fault.times:
                    found.faults.remove(fault)
            if fault and fault.status:
                error = {"message": fault.message or fault.reason}
                errors = [{"reason": fault.reason, **error}] if fault.reason else []
                content = {"code": fault.status, "errors": errors, **error}
                return self.answer(
                    fault.status, json.dumps({"error": content}).encode()
                )
            if fault and not (fault.is_done or fault.is_running):
                return self.cut()
            there = urlsplit(found.endpoint).netloc
            connection = http.client.HTTPConnection(there, timeout=120)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            # the emulator hands out addresses of its own for uploads
            headers["Host"] = there
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            connection.close()
            if fault and fault.is_done:
                return self.cut()
            if fault:
                content = content.replace(b'"DONE"', b'"RUNNING"')
            location = response.getheader("Location", "")
            self.answer(
                response.status, content, location.replace(found.endpoint, found.url)
            )

        def answer(self, status: int, content: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(content)

        def cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
