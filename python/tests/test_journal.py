"""What a worker has answered is in the spool, whatever happens to worker or disk."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from nba_ml import journal, spool
from nba_ml.journal import Journal, Segment, Stdout
from nba_ml.settings import Home
from nba_ml.spool import Event
from nba_ml.warehouse import DuckDB


def request(number: int) -> Event:
    row = {"request_id": f"r{number:03d}", "route": "/predict", "status": 200}
    return Event("request_log", row | {"requested_at": "2024-03-30T12:00:00"})


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f".*{spool.SEGMENT}"))


def stored(home: Home) -> list[str]:
    read = DuckDB(home.warehouse).read
    return list(read("select request_id from request_log order by 1")["request_id"])


def run(sink: Segment | Stdout, use: Any) -> Any:
    """The result of `use(journal)`; the journal is closed."""

    async def inside() -> Any:
        book = Journal(sink)
        try:
            return await use(book)
        finally:
            await asyncio.to_thread(book.close)

    return asyncio.run(inside())


def fail(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_was_written_is_in_the_file_and_closed_it_is_a_batch(home: Home) -> None:
    async def use(book: Journal) -> None:
        await book.write([request(1), request(2)])
        [segment] = segments(home.spool)
        assert [json.loads(line)["row"] for line in segment.open()] == [
            request(1).row,
            request(2).row,
        ]
        assert spool.pending(home.spool) == [] and book.waiting == 0
        spool.sync(home)
        assert segment.exists() and stored(home) == [], "a living worker's is its own"

    run(Segment(home.spool), use)
    assert segments(home.spool) == [] and len(spool.pending(home.spool)) == 1
    spool.sync(home)
    assert stored(home) == ["r001", "r002"]


def test_those_who_wait_share_a_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes, flush = [], os.fsync

    def slow(descriptor: int) -> None:
        flushes.append(descriptor)
        time.sleep(0.01)
        flush(descriptor)

    async def use(book: Journal) -> None:
        await book.write([request(0)])
        monkeypatch.setattr(os, "fsync", slow)
        await asyncio.gather(*(book.write([request(n)]) for n in range(1, 101)))
        assert len(flushes) <= 3

    run(Segment(tmp_path), use)
    [batch] = spool.pending(tmp_path)
    assert len(spool.parse(batch)["request_log"]) == 101


@pytest.mark.parametrize(("age", "size"), [(0.0, 2**20), (60.0, 1)])
def test_old_and_large_segments_become_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, size: int
) -> None:
    monkeypatch.setattr(journal, "AGE", age or 0.01)
    monkeypatch.setattr(journal, "SIZE", size)

    async def use(book: Journal) -> None:
        for number in range(3):
            await book.write([request(number)])
            await asyncio.sleep(0.05)
        assert len(spool.pending(tmp_path)) == 3 and segments(tmp_path) == []

    run(Segment(tmp_path), use)
    assert len(spool.pending(tmp_path)) == 3, "nothing empty is left behind"


WRITER = """
import asyncio, sys
from nba_ml import settings
from nba_ml.journal import Journal, Segment
from nba_ml.spool import Event
async def main():
    book, number = Journal(Segment(settings.home().spool)), 0
    while True:
        row = {"request_id": f"{sys.argv[1]}{number:06d}", "route": "/predict"}
        row |= {"status": 200, "requested_at": "2024-03-30T12:00:00"}
        await book.write([Event("request_log", row)])
        print(row["request_id"], flush=True)
        number += 1
asyncio.run(main())
"""


def test_a_killed_writer_loses_nothing_and_two_share_a_spool(home: Home) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    acknowledged: list[str] = []
    for writer in writers:
        assert writer.stdout
        acknowledged += [writer.stdout.readline().strip() for _ in range(50)]
    spool.sync(home)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.communicate()[0].split()
    left = segments(home.spool)
    assert left, "killed, they leave their segments"
    with left[0].open("a") as file:
        file.write('{"table": "request_log", "row": {"request_id": "torn')
    assert spool.sync(home).problems == []
    assert set(acknowledged) <= set(stored(home))
    assert not any(name.startswith("torn") for name in stored(home))
    once = len(stored(home))
    assert once == len(set(stored(home)))
    assert spool.sync(home).files == 0 and len(stored(home)) == once
    assert segments(home.spool) == [] and spool.pending(home.spool) == []


def test_a_segment_that_holds_only_a_torn_line_disappears(home: Home) -> None:
    home.spool.mkdir()
    (home.spool / f".worker-x{spool.SEGMENT}").write_text('{"table"')
    assert spool.sync(home).files == 0
    assert segments(home.spool) == []


@pytest.mark.parametrize("broken", [["fsync"], ["write"], ["fsync", "ftruncate"]])
def test_a_full_disk_fails_who_waits_and_nobody_later(
    home: Home, monkeypatch: pytest.MonkeyPatch, broken: list[str]
) -> None:
    async def use(book: Journal) -> None:
        await book.write([request(1)])
        with monkeypatch.context() as patch:
            for name in broken:
                patch.setattr(os, name, fail)
            waiting = [book.write([request(n)]) for n in (2, 3)]
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(one) for one in found] == [OSError, OSError]
        await book.write([request(4)])

    run(Segment(home.spool), use)
    assert spool.sync(home).problems == []
    kept = set(stored(home))
    assert {"r001", "r004"} <= kept
    # where even the cut fails, what was not acknowledged may be there: never less
    assert kept <= {"r001", "r004"} or "ftruncate" in broken


FULL = """
import asyncio, resource
from nba_ml import settings
from nba_ml.journal import Journal, Segment
from nba_ml.spool import Event
def row(number):
    row = {"request_id": f"r{number:03d}", "route": "x" * 300, "status": 200}
    return Event("request_log", row | {"requested_at": "2024-03-30T12:00:00"})
async def main():
    book = Journal(Segment(settings.home().spool))
    for number in range(10):
        if number == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, -1))
        try:
            await book.write([row(number)])
            print(number, flush=True)
        except OSError as error:
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            print("failed", flush=True)
    book.close()
asyncio.run(main())
"""


def test_half_a_line_on_a_really_full_disk_is_taken_back(home: Home) -> None:
    command = [sys.executable, "-c", FULL]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "2", "failed", *"456789"]
    assert spool.sync(home).problems == []
    assert stored(home) == [f"r{n:03d}" for n in range(10) if n != 3]


def test_no_folder_is_a_failure_of_the_request_only(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.write_text("in the way")

    async def use(book: Journal) -> None:
        with pytest.raises(OSError):
            await book.write([request(1)])
        folder.unlink()
        await book.write([request(2)])

    run(Segment(folder), use)
    [batch] = spool.pending(folder)
    assert len(spool.parse(batch)["request_log"]) == 1


def test_a_missing_value_is_none(tmp_path: Path) -> None:
    async def use(book: Journal) -> None:
        with pytest.raises(ValueError):
            await book.write([Event("request_log", {"latency_ms": float("nan")})])

    run(Segment(tmp_path), use)
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_given_up_harms_no_other(tmp_path: Path) -> None:
    async def use(book: Journal) -> None:
        given_up = asyncio.ensure_future(book.write([request(1)]))
        await asyncio.sleep(0)
        given_up.cancel()
        await book.write([request(2)])
        assert book.waiting == 0

    run(Segment(tmp_path), use)
    [batch] = spool.pending(tmp_path)
    assert len(spool.parse(batch)["request_log"]) == 2, "logged is not answered"


def test_on_stdout_each_event_is_a_structured_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def use(book: Journal) -> Coroutine[Any, Any, None]:
        return book.write([request(1), request(2)])

    run(Stdout(), use)
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert first["nba_ml_table"] == "request_log" and first["severity"] == "INFO"
    assert second["row"] == request(2).row
