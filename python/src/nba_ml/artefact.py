"""Model files: reserved, written whole, and refused when they do not fit."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost as xgb

from nba_ml.files import locked, write_atomically
from nba_ml.settings import UserError

ALGORITHM = "xgboost"
FOLDERS = ("staging", "production", "archive")


class Version(NamedTuple):
    """A semantic version; compares and sorts as one."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def model_id(self) -> str:
        return f"{ALGORITHM}_v{self}"

    @staticmethod
    def parse(text: str) -> Version:
        return Version(*(int(part) for part in text.split(".")))


@dataclass(frozen=True)
class FeatureSet:
    """The ordered feature names of one feature version, as the catalogue has them."""

    version: str
    names: tuple[str, ...]

    @property
    def hash(self) -> str:
        """sha256 of the version and the names in their order."""
        return hashlib.sha256(
            "\n".join((self.version, *self.names)).encode()
        ).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """Everything one must know about a model file; stored beside it as JSON."""

    model_id: str
    model_version: str
    algorithm: str
    feature_version: str
    feature_names: list[str]
    features_hash: str
    library_versions: dict[str, str]
    config: dict[str, Any]
    training: dict[str, Any]  # rows of the served model: start, end, rows, sha256
    evaluation: dict[str, Any]  # split, trees, dropped rows, suspicion of a leak
    refit: dict[str, Any]  # trees, agreement with the evaluated model
    metrics: list[dict[str, Any]]
    importance: dict[str, float]
    levels: dict[str, list[float]]
    parent_model_id: str | None
    created_at: str
    created_by: str
    as_of: str
    dbt_invocation_id: str
    git_commit: str | None
    artifact_sha256: str = ""


@dataclass(frozen=True)
class Model:
    """A verified model that can score rows."""

    booster: xgb.Booster
    manifest: Manifest

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Points for each row of `frame`, float64, in its order.

        Features are taken by name; NaN is a missing value. Raises UserError
        for an absent or non-numeric column or an infinite value: nothing is
        ever filled in.
        """
        matrix = xgb.DMatrix(
            feature_matrix(frame, self.manifest.feature_names),
            feature_names=self.manifest.feature_names,
        )
        return self.booster.predict(matrix).astype(float)


def feature_matrix(frame: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Columns `names` of `frame` as float32, shape (rows, features)."""
    absent = [name for name in names if name not in frame]
    if absent:
        raise UserError(
            f"The rows lack {', '.join(absent)}. The model needs every feature by "
            "name; rebuild the store of its feature version: dbt build -s feature_store"
        )
    for name in names:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise UserError(f"Feature {name} is {frame[name].dtype}, not a number.")
    matrix = np.column_stack(
        [frame[name].to_numpy(np.float32, na_value=np.nan) for name in names]
    )
    infinite = np.isinf(matrix).any(axis=0)
    if infinite.any():
        named = [name for name, bad in zip(names, infinite, strict=True) if bad]
        raise UserError(f"Infinite values in {', '.join(named)}.")
    return matrix


@contextmanager
def reserve(
    store: Path,
    registered: Callable[[], set[str]],
    choose: Callable[[set[Version]], Version],
) -> Iterator[tuple[Version, Path]]:
    """Hold a version while its model is trained: yields version and file path.

    The artefact name is created exclusively, and a lock file beside it is held
    until the model is registered, so two trainers never share a version. A
    reservation whose process died is swept by the next one; `registered` gives
    the ids of registered models, which are never swept.
    """
    with locked(store / ".lock"):
        sweep(store, registered)
        version = choose(taken(store))
        path = store / FOLDERS[0] / f"{version.model_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("x")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        yield version, path
        path.with_suffix(".lock").unlink()
    except BaseException:
        lock.close()
        with suppress(UserError), locked(store / ".lock"):
            sweep(store, registered)
        raise
    finally:
        lock.close()


def sweep(store: Path, registered: Callable[[], set[str]]) -> list[str]:
    """Remove what trainers left that died before registering; return model ids."""
    swept = []
    for path in reservations(store):
        try:
            lock = path.open()
        except FileNotFoundError:  # registered just now
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its trainer is alive
                continue
            if path.stem not in registered():
                for left in path.parent.glob(f"*{path.stem}.*"):
                    if left != path:
                        left.unlink()
                swept.append(path.stem)
            path.unlink(missing_ok=True)
    return swept


def reservations(store: Path) -> list[Path]:
    """Lock files of versions that are being trained, or whose trainer died."""
    return sorted((store / FOLDERS[0]).glob("*.lock"))


def find(store: Path, model_id: str) -> Path | None:
    """The model file of `model_id`, whichever folder it is in."""
    paths = (store / folder / f"{model_id}.json" for folder in FOLDERS)
    return next((path for path in paths if path.exists()), None)


def taken(store: Path) -> set[Version]:
    """Versions that any file in the store carries."""
    pattern = re.compile(rf"{ALGORITHM}_v(\d+\.\d+\.\d+)\.")
    names = (path.name for folder in FOLDERS for path in (store / folder).glob("*"))
    return {Version.parse(match[1]) for name in names if (match := pattern.match(name))}


def save(
    path: Path, booster: xgb.Booster, manifest: Manifest, frame: bytes
) -> Manifest:
    """Write model, training frame (Parquet bytes) and manifest; manifest last."""
    content = bytes(booster.save_raw("json"))
    manifest = replace(manifest, artifact_sha256=hashlib.sha256(content).hexdigest())
    write_atomically(path.with_suffix(".frame.parquet"), frame)
    write_atomically(path, content)
    text = json.dumps(asdict(manifest), indent=2, allow_nan=False)
    write_atomically(_manifest_path(path), text.encode())
    return manifest


def load(path: Path, features: FeatureSet, sha256: str | None = None) -> Model:
    """Read a model for rows of `features`, or say in a sentence why not.

    `sha256` is what the registry recorded; the manifest's own is always
    compared. Raises UserError.
    """
    manifest = read_manifest(path)
    if manifest.features_hash != features.hash:
        raise UserError(
            f"{path.name} does not fit the store: {_misfit(manifest, features)}"
        )
    trained_with = manifest.library_versions.get("xgboost", "unknown")
    if trained_with.split(".")[0] != xgb.__version__.split(".")[0]:
        raise UserError(
            f"{path.name} was trained with XGBoost {trained_with}, here is "
            f"{xgb.__version__}: predictions would differ silently. "
            "Install its version or train anew."
        )
    content = path.read_bytes() if path.exists() else b""
    found = hashlib.sha256(content).hexdigest()
    for where, expected in (
        ("manifest", manifest.artifact_sha256),
        ("registry", sha256),
    ):
        if expected and found != expected:
            raise UserError(
                f"{path} has sha256 {found[:12]}, its {where} says {expected[:12]}: "
                "it is not the file that was trained. Restore it or train anew."
            )
    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    if booster.feature_names != manifest.feature_names:
        raise UserError(f"{path.name} and its manifest name different features.")
    return Model(booster, manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest beside the model file `path`. Raises UserError."""
    source = _manifest_path(path)
    if not source.exists():
        raise UserError(f"{path} has no manifest {source.name} beside it; train anew.")
    try:
        found: Mapping[str, Any] = json.loads(source.read_text())
        return Manifest(**{field.name: found[field.name] for field in fields(Manifest)})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} is no manifest ({error!r}); train anew.") from error


def _manifest_path(path: Path) -> Path:
    return path.with_suffix(".meta.json")


def _misfit(manifest: Manifest, features: FeatureSet) -> str:
    if manifest.feature_version != features.version:
        return (
            f"it was trained on feature version {manifest.feature_version}, "
            f"the rows are {features.version}."
        )
    known, given = set(manifest.feature_names), set(features.names)
    if known != given:
        parts = [
            f"{word} {', '.join(sorted(names))}"
            for word, names in (("lacks", known - given), ("adds", given - known))
            if names
        ]
        return f"the feature catalogue {' and '.join(parts)}."
    if list(features.names) != manifest.feature_names:
        pairs = zip(manifest.feature_names, features.names, strict=True)
        first, second = next(pair for pair in pairs if pair[0] != pair[1])
        return f"the order differs, first at {first} (catalogue: {second})."
    return "the hash of the feature list differs."
