"""The spool: events on local disk until the warehouse has them.

A locked warehouse, a dead network or a killed process loses nothing: a batch
is one file, there whole or not at all, and is deleted only after its commit.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from nba_ml.files import flush_folder, locked, write_atomically
from nba_ml.settings import Home, UserError
from nba_ml.warehouse import Warehouse, WarehouseUnavailable, connect

Batch = dict[str, list[dict[str, Any]]]
SEGMENT = ".segment"  # a file that a worker still writes (journal.py)
FORGOTTEN = 3600.0  # seconds after which an unfinished temporary file is dead


@dataclass(frozen=True)
class Event:
    """One row for one event table; values are what JSON can hold."""

    table: str
    row: Mapping[str, Any]


@dataclass
class Synced:
    """What a sync did: files loaded, new rows by table, and what it left."""

    files: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def write(folder: Path, events: Sequence[Event]) -> Path:
    """Write a batch as one file, all or nothing; return its path.

    Raises ValueError for NaN and infinity: a missing value is None.
    """
    content = "".join(f"{line(event)}\n" for event in events).encode()
    return write_atomically(folder / new_name(), content)


def line(event: Event) -> str:
    """An event as `parse` reads it."""
    return json.dumps({"table": event.table, "row": event.row}, allow_nan=False)


def new_name() -> str:
    """A name for a batch; names sort by time."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return f"{moment}-{uuid4()}.jsonl"


def pending(folder: Path) -> list[Path]:
    """Files that wait for a sync, oldest first."""
    return sorted(folder.glob("[!.]*.jsonl"))


def parse(path: Path) -> Batch:
    """Rows by table. Raises UserError that names file and line."""
    batch: Batch = defaultdict(list)
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            event = json.loads(line)
            batch[str(event["table"])].append(dict(event["row"]))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}, line {number}, is no event ({error!r}). The file is kept: "
                "repair the line, or move the file away, and run nba-ml sync."
            ) from error
    if not batch:
        raise UserError(f"{path} is empty. Move it away and run nba-ml sync.")
    return batch


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Unsynced rows of one table; unreadable files are left to `sync`."""
    found: list[dict[str, Any]] = []
    for path in pending(folder):
        try:
            found += parse(path).get(table, [])
        except (FileNotFoundError, UserError):  # synced just now, or corrupt
            continue
    return found


def sync(home: Home) -> Synced:
    """Load every file into its event tables, then delete it.

    All readable files are one transaction; when one of them does not fit, each
    is a transaction of its own, and the unfit stay. Safe beside other syncs
    and after a kill between commit and deletion: ids decide what is new.
    Raises WarehouseUnavailable with every file kept.
    """
    warehouse = connect(home)
    result = Synced()
    with locked(home.spool / ".lock"):
        _remove_unfinished(home.spool)
        _take_over(home.spool)
        batches: dict[Path, Batch] = {}
        for path in pending(home.spool):
            try:
                batches[path] = parse(path)
            except UserError as error:
                result.problems.append(error.message)
        _load(warehouse, batches, result)
    return result


def record(
    home: Home, table: str, rows: Iterable[Mapping[str, Any]]
) -> tuple[bool, list[str]]:
    """Write rows that must not be lost, and sync: whether they are in; notes."""
    return try_sync(home, write(home.spool, [Event(table, row) for row in rows]))


def try_sync(home: Home, written: Path) -> tuple[bool, list[str]]:
    """Sync after writing events that must not be lost: whether they are in; notes."""
    try:
        problems = sync(home).problems
        return not written.exists(), problems
    except WarehouseUnavailable as error:
        return False, [f"{error.message} It is safe in the spool: nba-ml sync"]


def _load(warehouse: Warehouse, batches: dict[Path, Batch], done: Synced) -> None:
    if not batches:
        return
    merged: Batch = defaultdict(list)
    for batch in batches.values():
        for table, found in batch.items():
            merged[table] += found
    try:
        counts = warehouse.append(merged)
    except WarehouseUnavailable:
        raise
    except UserError as error:
        if len(batches) > 1:
            for path, batch in batches.items():
                _load(warehouse, {path: batch}, done)
        else:
            done.problems += [f"{path} is kept. {error.message}" for path in batches]
        return
    for path in batches:
        path.unlink()
    flush_folder(next(iter(batches)).parent)
    done.files += len(batches)
    for table, count in counts.items():
        done.rows[table] = done.rows.get(table, 0) + count


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob(".*.tmp"):
        if path.stat().st_mtime < time.time() - FORGOTTEN:
            path.unlink(missing_ok=True)


def _take_over(folder: Path) -> None:
    """Make batches of the segments of dead workers; a living one holds its lock.

    A last line without its end was never acknowledged, so it is cut.
    """
    for path in folder.glob(f".*{SEGMENT}"):
        with suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = file.read().rfind(b"\n") + 1
            file.truncate(size)
            os.fsync(file.fileno())
            if size:
                path.rename(folder / new_name())
            else:
                path.unlink()
