"""Cloud Storage in this process, with the preconditions that decide who won.

gcp-storage-emulator takes generation preconditions and forgets them. Here each is
compared with the stored generation and answered as Google does: 412, or 304 for a
read. Downloads carry the generation, and a 404 says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import buckets, objects

Handler = Callable[..., None]
STRICT = ("insert", "upload_partial", "delete", "download", "get", "patch", "ls")
logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
logging.getLogger("api.object").setLevel(logging.CRITICAL)


class Emulator:
    """A running emulator; `outages` says what goes wrong with the next requests.

    "before" answers 503 and does nothing, "after" does it and answers 503 all the
    same, "cut" sends half of a download and hangs up.
    """

    def __init__(self, api: server.Server) -> None:
        host, port = api._api._httpd.server_address
        self.storage = api._storage
        self.url = f"http://{host}:{port}"
        self.outages: list[str] = []
        self.requests: list[str] = []
        self.storage.emulator = self

    def create_bucket(self, name: str) -> None:
        assert buckets.create_bucket(name, self.storage)

    def resource(self, bucket: str, name: str) -> dict[str, Any]:
        """What the service knows about an object; change it to lie."""
        return self.storage.objects[bucket][name]


@contextmanager
def running() -> Iterator[Emulator]:
    with server.create_server("127.0.0.1", 0, in_memory=True) as api:
        yield Emulator(api)


def _strict(handler: Handler) -> Handler:
    def handle(request: Any, response: Any, storage: Any) -> None:
        emulator = storage.emulator
        emulator.requests.append(handler.__name__)
        outage = emulator.outages.pop(0) if emulator.outages else ""
        if outage == "before":
            return _answer(response, HTTPStatus.SERVICE_UNAVAILABLE, "try again")
        bucket, name = request.params["bucket_name"], _object(request, storage)
        held = storage.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        refusal = _refusal(request, held)
        if refusal:
            return _answer(response, refusal, "a pre-condition did not hold")
        handler(request, response, storage)
        if response.status == HTTPStatus.NOT_FOUND:
            known = bucket in storage.buckets
            what = f"No such object: {bucket}/{name}"
            what = what if known else "The specified bucket does not exist."
            _answer(response, HTTPStatus.NOT_FOUND, what)
        if handler.__name__ == "download":
            response["X-Goog-Generation"] = held
        if outage == "after":
            _answer(response, HTTPStatus.SERVICE_UNAVAILABLE, "done, but not told")
        if outage == "cut":
            _cut(response)

    handle.__module__, handle.__name__ = handler.__module__, handler.__name__
    return handle


def _object(request: Any, storage: Any) -> str | None:
    """The name of the object that a request is about."""
    if "object_id" in request.params:
        return request.params["object_id"]
    if "upload_id" in request.query:
        upload = request.query["upload_id"][0]
        return storage.get_resumable_file_obj(upload)["name"]
    if "name" in request.query:
        return request.query["name"][0]
    if request.method == "GET":
        return None
    return (request.data.get("meta") or request.data)["name"]


def _refusal(request: Any, held: str) -> HTTPStatus | None:
    wanted = {key: values[0] for key, values in request.query.items()}
    reads, exists = request.method == "GET", held != "0"
    if wanted.get("ifGenerationMatch", held) != held and (exists or not reads):
        return HTTPStatus.PRECONDITION_FAILED
    if wanted.get("ifGenerationNotMatch") == held and (exists or not reads):
        return HTTPStatus.NOT_MODIFIED if reads else HTTPStatus.PRECONDITION_FAILED
    if wanted.get("generation", held) != held:
        return HTTPStatus.NOT_FOUND
    return None


def _answer(response: Any, status: HTTPStatus, message: str) -> None:
    response.status = status
    response.json({"error": {"code": status.value, "message": message}})


def _cut(response: Any) -> None:
    """Promise the whole content, send half of it."""
    content, send = response._content, response._handler.send_header

    def promise(key: str, value: str) -> None:
        send(key, str(len(content)) if key == "Content-Length" else value)

    response._handler.send_header = promise
    response._content = content[: len(content) // 2]


for _pattern, _methods in server.HANDLERS:
    for _method, _handler in _methods.items():
        if _handler.__module__ == objects.__name__ and _handler.__name__ in STRICT:
            _methods[_method] = _strict(_handler)
