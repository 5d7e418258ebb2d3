"""Files that are there whole or not at all, and locks that end with their process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def write_atomically(path: Path, content: bytes, is_new: bool = False) -> Path:
    """Write through a temporary name beside `path`; readers see old or new.

    With `is_new` a file that is there raises FileExistsError, and stays. File and
    folder are flushed: after this call a power cut loses nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish = os.link if is_new else Path.replace
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)
    return path


def flush_folder(folder: Path) -> None:
    """Make renames and deletions inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; wait for others. A kill releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
