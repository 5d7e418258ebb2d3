"""The journal of a worker: events are on disk before the answer leaves.

Whoever waits while a flush runs shares the next one, so that many requests cost few.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import fcntl
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from nba_ml import spool
from nba_ml.files import flush_folder
from nba_ml.spool import Event

AGE = 2.0  # seconds after which a segment becomes a file of the spool
SIZE = 4 * 2**20  # bytes after which it does


class Segment:
    """The file of the spool that is being written, locked until it is complete.

    Its name is none that `spool.pending` finds. What a killed worker leaves is taken
    over by the next sync.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None
        self._path, self._size, self._ends = folder, 0, 0.0

    def append(self, lines: bytes) -> None:
        """Write and flush, or raise OSError and leave nothing of `lines`."""
        if self._descriptor is None:
            self._open()
        descriptor = self._descriptor
        try:
            _write(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            # nobody knows what the disk has after a failed flush: begin a new file
            try:
                os.ftruncate(descriptor, self._size)
                self.rotate(0)
            except OSError:
                self._close()
            raise
        self._size += len(lines)

    def rotate(self, size: int = SIZE) -> None:
        """Hand the segment to the spool if it is old, or has `size` bytes."""
        is_due = self._size >= size or time.monotonic() >= self._ends
        if self._descriptor is None or not is_due:
            return
        # not flushed: under its old name, it is what the next sync takes over
        with suppress(OSError):
            if self._size:
                self._path.rename(self.folder / spool.new_name())
            else:
                self._path.unlink()
        self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = None

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # locked before it has the name by which a sync would look for dead holders
        hidden = self.folder / f".{uuid4()}.tmp"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
        descriptor = os.open(hidden, flags, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._path = hidden.with_name(f".worker-{uuid4()}{spool.SEGMENT}")
            hidden.rename(self._path)
            flush_folder(self.folder)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor, self._size = descriptor, 0
        self._ends = time.monotonic() + AGE


class Stdout:
    """Where no disk outlives the process: each event a structured line of the log."""

    def append(self, lines: bytes) -> None:
        _write(sys.stdout.fileno(), lines)

    def rotate(self, size: int = SIZE) -> None:
        pass


class Journal:
    """One thread that writes for all requests. `waiting` events are not flushed yet."""

    def __init__(self, sink: Segment | Stdout) -> None:
        self.waiting, self.seconds = 0, 0.0  # `seconds` of the last flush
        self._sink = sink
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    async def write(self, events: Sequence[Event]) -> None:
        """Return when the events are on disk. Raises OSError when they are not.

        Raises ValueError for NaN and infinity: a missing value is None.
        """
        form = _for_log if isinstance(self._sink, Stdout) else spool.line
        lines = "".join(f"{form(event)}\n" for event in events).encode()
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.waiting += len(events)
        self._queue.put((lines, future))
        try:
            await asyncio.wrap_future(future)
        finally:
            self.waiting -= len(events)

    def close(self) -> None:
        """Write what waits, and hand the segment to the spool."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch: list[_Entry | None] = []
            with suppress(queue.Empty):
                batch.append(self._queue.get(timeout=AGE / 4))
                while True:
                    batch.append(self._queue.get_nowait())
            is_open = None not in batch
            if entries := [entry for entry in batch if entry]:
                self._append(entries)
            self._sink.rotate(SIZE if is_open else 0)

    def _append(self, entries: Sequence[_Entry]) -> None:
        begun, failure = time.perf_counter(), None
        try:
            self._sink.append(b"".join(lines for lines, _ in entries))
        except Exception as error:  # this thread has to live on
            failure = error
        self.seconds = time.perf_counter() - begun
        for _, future in entries:
            if not future.set_running_or_notify_cancel():
                continue  # its request was given up
            if failure:
                future.set_exception(failure)
            else:
                future.set_result(None)


_Entry = tuple[bytes, concurrent.futures.Future[None]]


def _for_log(event: Event) -> str:
    line = {"severity": "INFO", "nba_ml_table": event.table, "row": event.row}
    return json.dumps(line, allow_nan=False)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
