"""Model files: reserved, written whole, and refused when they do not fit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pandas as pd
import xgboost as xgb

from nba_ml.settings import UserError
from nba_ml.store import Missing, Store, Taken

ALGORITHM = "xgboost"
POINTS = 0.0, 60.0  # what is predicted at least and at most


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
    """The ordered feature names of one feature version, as the catalogue has them.

    `reported` are those that are NULL without an availability report.
    """

    version: str
    names: tuple[str, ...]
    reported: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """sha256 of the version and the names in their order."""
        text = "\n".join((self.version, *self.names))
        return hashlib.sha256(text.encode()).hexdigest()

    def unreported(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` as it would be without an availability report."""
        return frame.assign(**dict.fromkeys(self.reported, np.nan))


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
    evaluation: dict[str, Any]  # split, trees, dropped rows
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
        """Points for each row of `frame`, as `predict` gives them."""
        return predict(self.booster, self.manifest.feature_names, frame)

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """The same for rows of a `feature_matrix`, without the cost of a DMatrix."""
        return np.clip(self.booster.inplace_predict(matrix).astype(float), *POINTS)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """Points that each feature adds to each row (SHAP values), and what is expected
        of any row: they sum to `score` before it is clamped, in float32.
        """
        rows = xgb.DMatrix(matrix, feature_names=self.manifest.feature_names)
        return self.booster.predict(rows, pred_contribs=True).astype(float)


def predict(
    booster: xgb.Booster, names: Sequence[str], frame: pd.DataFrame
) -> np.ndarray:
    """Points for each row of `frame`, float64, in its order, clamped to 0..60.

    Features `names` are taken by name; NaN is a missing value. Raises UserError
    for an absent or non-numeric column or an infinite value: nothing is filled in.
    """
    matrix = xgb.DMatrix(feature_matrix(frame, names), feature_names=list(names))
    return np.clip(booster.predict(matrix).astype(float), *POINTS)


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
    store: Store,
    registered: Callable[[], set[str]],
    choose: Callable[[set[Version]], Version],
) -> Iterator[tuple[Version, str, int]]:
    """Hold a version while its model is trained: yields it, file name, generation.

    A lock, kept until the model is registered, and the artefact name are created
    exclusively, so two trainers never share a version. A reservation whose trainer
    died is swept by the next one; `registered` gives the ids of registered models,
    which are never swept.
    """
    sweep(store, registered)
    while True:
        version = choose(taken(store))
        name, lock = (f"staging/{version.model_id}.{end}" for end in ("json", "lock"))
        with suppress(Taken):  # another trainer was faster: choose again
            held = store.lock(lock)
            try:
                generation = store.write(name, uuid4().bytes)
                break
            except BaseException:
                store.delete(lock)
                raise
    try:
        yield version, name, generation
    except BaseException:
        with suppress(UserError):
            _end(store, lock, held, registered())
        raise
    with suppress(UserError):  # registered all the same; a later sweep deletes it
        store.delete(lock)


def sweep(store: Store, registered: Callable[[], set[str]]) -> None:
    """Remove what trainers left that died before registering their models."""
    for lock in reservations(store):
        if held := store.abandoned(lock):
            _end(store, lock, held, registered())


def _end(store: Store, lock: str, held: int, registered: set[str]) -> None:
    with suppress(Taken, Missing):  # swept by another, or registered, just now
        store.lock(lock, held)
        model_id = PurePosixPath(lock).stem
        for name in store.names() if model_id not in registered else []:
            if f"{model_id}." in name and name != lock:
                store.delete(name)
        store.delete(lock)


def reservations(store: Store) -> list[str]:
    """Locks of models that are being trained, or whose trainer died."""
    return [name for name in store.names() if name.endswith(".lock")]


def taken(store: Store) -> set[Version]:
    """Versions that any file in the store carries."""
    pattern = re.compile(rf"\w+/{ALGORITHM}_v(\d+\.\d+\.\d+)\.")
    matches = map(pattern.match, store.names())
    return {Version.parse(match[1]) for match in matches if match}


def save(
    store: Store,
    name: str,
    generation: int,
    booster: xgb.Booster,
    manifest: Manifest,
    frame: bytes,
) -> Manifest:
    """Write model, training frame (Parquet bytes) and manifest; manifest last.

    Raises Taken, with nothing written, when the reserved `generation` is gone.
    """
    content = bytes(booster.save_raw("json"))
    manifest = replace(manifest, artifact_sha256=hashlib.sha256(content).hexdigest())
    text = json.dumps(asdict(manifest), indent=2, allow_nan=False)
    store.write(name, content, generation)
    store.write(name.replace(".json", ".frame.parquet"), frame)
    store.write(name.replace(".json", ".meta.json"), text.encode())
    return manifest


def load(
    store: Store, name: str, features: FeatureSet, sha256: str | None = None
) -> Model:
    """Read a model for rows of `features`, or say in a sentence why not.

    `sha256` is what the registry recorded; the manifest's own is always
    compared. Raises UserError.
    """
    manifest, uri = read_manifest(store, name), store.uri(name)
    if manifest.features_hash != features.hash:
        raise UserError(f"{uri} does not fit the store: {_misfit(manifest, features)}")
    trained_with = manifest.library_versions.get("xgboost", "unknown")
    if trained_with.split(".")[0] != xgb.__version__.split(".")[0]:
        raise UserError(
            f"{uri} was trained with XGBoost {trained_with}, here is "
            f"{xgb.__version__}: predictions would differ silently. "
            "Install its version or train anew."
        )
    content, _ = store.read(name)
    found = hashlib.sha256(content).hexdigest()
    known = {"manifest": manifest.artifact_sha256, "registry": sha256 or found}
    for where, expected in known.items():
        if found != expected:
            raise UserError(
                f"{uri} has sha256 {found[:12]}, its {where} says {expected[:12]}: "
                "it is not the file that was trained. Restore it or train anew."
            )
    # a slate is small: to share it out costs more than to score it
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    if booster.feature_names != manifest.feature_names:
        raise UserError(f"{uri} and its manifest name different features.")
    return Model(booster, manifest)


def read_manifest(store: Store, name: str) -> Manifest:
    """The manifest beside the model file `name`. Raises UserError."""
    name = name.replace(".json", ".meta.json")
    content, _ = store.read(name)
    try:
        found: Mapping[str, Any] = json.loads(content)
        return Manifest(**{field.name: found[field.name] for field in fields(Manifest)})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{store.uri(name)} is no manifest: {error!r}") from error


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
