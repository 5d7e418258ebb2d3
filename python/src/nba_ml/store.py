"""Where models are kept: a folder of this machine, or a bucket in Google's cloud."""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from nba_ml.files import locked, write_atomically
from nba_ml.settings import Home, UserError

# A write names the generation that it replaces. When another writer was there first
# it raises Taken, and that writer's file stays: of two in a race, none loses silently.
NEW = 0  # the generation of a file that is not there yet
ABANDONED = timedelta(hours=24)  # without a sign of life a lock's holder is dead


class Taken(UserError):
    """Another writer was there first; made from the address of its file."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"Another process wrote {uri}; that file is kept. Try again.")


class Missing(UserError):
    """There is no such file."""

    def __init__(self, uri: str, reason: str = "") -> None:
        super().__init__(f"There is no {uri}{reason}. What there is: nba-ml status")


class Busy(UserError):
    """Another process holds a lock."""


class Folder:
    """Files below `root`. A lock ends with the process that holds it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held: dict[str, BinaryIO] = {}

    def uri(self, name: str) -> str:
        return str(self.root / name)

    def names(self) -> list[str]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def read(self, name: str) -> tuple[bytes, int]:
        """Content and generation. Raises Missing."""
        try:
            content = (self.root / name).read_bytes()
        except FileNotFoundError:
            raise Missing(self.uri(name)) from None
        return content, _generation(content)

    def write(self, name: str, content: bytes, generation: int = NEW) -> int:
        """Replace `generation`, all or nothing; return the new one. Raises Taken."""
        path = self.root / name
        with locked(self.root / ".writing"), suppress(FileExistsError, Missing):
            if generation == NEW or generation == self.read(name)[1]:
                write_atomically(path, content, is_new=generation == NEW)
                return _generation(content)
        raise Taken(self.uri(name))

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)
        self._held.pop(name, None)

    def lock(self, name: str, generation: int = NEW) -> int:
        """Write `name`, locked until it is deleted or its holder dies."""
        with locked(self.root / ".locking"):
            written = self.write(name, uuid4().bytes, generation)
            self._held[name] = (self.root / name).open("rb")
            fcntl.flock(self._held[name], fcntl.LOCK_EX | fcntl.LOCK_NB)
        return written

    def abandoned(self, name: str, after: timedelta = ABANDONED) -> int | None:
        """The generation of a lock whose holder died; None while it lives.

        Of a bucket's holder it is only known how long ago it gave its last sign of
        life: dead is who gave none since `after`.
        """
        path, mutex = self.root / name, locked(self.root / ".locking")
        with mutex, suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _generation(file.read())
        return None


class Bucket:
    """The same below `root`, a gs:// address; a lock ends after 24 hours."""

    # A request is repeated, with growing pauses, for `patience` seconds.
    def __init__(self, root: str, patience: float = 60.0) -> None:
        if not re.match("gs://[a-z0-9][a-z0-9._-]*[a-z0-9](/|$)", root):
            raise UserError(f"NBA_ML_MODEL_STORE is {root}. Write gs://bucket/models")
        self.root, self.patience, self._client = root.rstrip("/") + "/", patience, None
        self.bucket, self.prefix = self.root.split("/", 3)[2:]

    def uri(self, name: str) -> str:
        return self.root + name

    def names(self) -> list[str]:
        with self._request("") as (blob, patient):
            found = blob.bucket.list_blobs(prefix=self.prefix, **patient)
            return [one.name.removeprefix(self.prefix) for one in found]

    def read(self, name: str) -> tuple[bytes, int]:
        with self._request(name) as (blob, patient):
            return blob.download_as_bytes(checksum="crc32c", **patient), blob.generation

    def write(self, name: str, content: bytes, generation: int = NEW) -> int:
        mark = {"write": uuid4().hex}
        try:
            with self._request(name) as (blob, patient):
                blob.metadata = mark
                patient |= {"if_generation_match": generation, "checksum": "crc32c"}
                blob.upload_from_string(content, "application/octet-stream", **patient)
        except Taken:
            # perhaps by this very write, repeated because its answer was lost
            with suppress(Missing), self._request(name) as (blob, patient):
                blob.reload(**patient)
            if blob.metadata != mark:
                raise
        return blob.generation

    def delete(self, name: str) -> None:
        with suppress(Missing, Taken), self._request(name) as (blob, patient):
            blob.reload(**patient)
            # by generation: a repetition must not hit what came after
            blob.delete(if_generation_match=blob.generation, **patient)

    def lock(self, name: str, generation: int = NEW) -> int:
        return self.write(name, uuid4().bytes, generation)

    def abandoned(self, name: str, after: timedelta = ABANDONED) -> int | None:
        with suppress(Missing), self._request(name) as (blob, patient):
            blob.reload(**patient)
            if datetime.now(UTC) - blob.updated >= after:
                return blob.generation
        return None

    @contextmanager
    def _request(self, name: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Google's object, and how to ask; what goes wrong becomes a sentence."""
        try:
            from google.api_core import exceptions as api
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import storage
        except ImportError as error:
            raise UserError(f"{error}. Next: make bigquery") from error
        retry = storage.retry.DEFAULT_RETRY.with_timeout(self.patience)
        damage = storage.exceptions.DataCorruption
        try:
            self._client = self._client or storage.Client(project=None)
            blob = self._client.bucket(self.bucket).blob(self.prefix + name)
            yield blob, {"retry": retry, "timeout": self.patience}
        except api.PreconditionFailed:
            raise Taken(self.uri(name)) from None
        except api.NotFound as error:
            raise Missing(self.uri(name), f" ({error})") from error
        except (api.GoogleAPIError, GoogleAuthError, damage, OSError) as error:
            raise UserError(
                f"{self.uri(name)} failed: {error}. Check NBA_ML_MODEL_STORE, network"
                " and login (gcloud auth application-default login); run this again."
            ) from error


Store = Folder | Bucket


@dataclass
class Held:
    """A lock of this process; `is_inherited` from a holder that died."""

    store: Store
    name: str
    generation: int
    is_inherited: bool

    def beat(self) -> None:
        """Show that its holder lives."""
        self.generation = self.store.lock(self.name, self.generation)


@contextmanager
def alone(store: Store, name: str, silent: timedelta, busy: str) -> Iterator[Held]:
    """Hold the lock `name`; one in a bucket lasts for `silent` after its last beat.

    When another process holds it: Busy, with the sentence `busy` and its address.
    """
    dead: int | None = None
    try:
        try:
            held = store.lock(name)
        except Taken:
            dead = store.abandoned(name, silent)
            if dead is None:
                raise
            held = store.lock(name, dead)
    except Taken as error:
        raise Busy(f"{busy} ({store.uri(name)})") from error
    lock = Held(store, name, held, dead is not None)
    try:
        yield lock
    finally:
        with suppress(Missing):  # never the lock of who thought this one dead
            if store.read(name)[1] == lock.generation:
                store.delete(name)


def open_store(home: Home) -> Store:
    """Where new models go: NBA_ML_MODEL_STORE, by default the folder of `home`."""
    return Bucket(home.model_store) if home.model_store else Folder(home.models)


def resolve(home: Home, location: str) -> tuple[Store, str]:
    """Store and name of what the registry has as `gcs_path`."""
    if "://" not in location:
        return Folder(home.models), location
    root, folder, file = location.rsplit("/", 2)
    return Bucket(root), f"{folder}/{file}"


def _generation(content: bytes) -> int:
    return int(hashlib.sha256(content).hexdigest()[:15], 16) + 1
