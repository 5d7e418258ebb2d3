"""What is served: a configuration and the slate's features, published for workers."""

from __future__ import annotations

import hashlib
import io
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import pandas as pd
import yaml
from pydantic import ConfigDict, Field, TypeAdapter

from nba_ml.artefact import FeatureSet, feature_matrix
from nba_ml.settings import Home, UserError
from nba_ml.store import NEW, Bucket, Folder, Missing, Store, Taken

CONFIG = "model_config.yaml"
KEYS = ["game_id", "player_lookup", "game_date", "games_played_prior"]
KEYS += ["feature_quality_score", "has_availability_report"]
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class ProductionModel:
    """The champion: where its file is, and whether it is loaded before it is asked."""

    __pydantic_config__: ClassVar = _STRICT
    model_id: str
    gcs_path: str
    sha256: str
    load_strategy: Literal["eager", "lazy"] = "eager"


@dataclass(frozen=True)
class StagingModel:
    """The challenger: `split` answers its share of players, `shadow` answers none."""

    __pydantic_config__: ClassVar = _STRICT
    model_id: str
    gcs_path: str
    sha256: str
    traffic_split: Annotated[float, Field(ge=0, le=1)]
    mode: Literal["split", "shadow"]


@dataclass(frozen=True)
class ServingConfig:
    """What every worker serves. `generation` grows by one with each change."""

    __pydantic_config__: ClassVar = _STRICT
    generation: Annotated[int, Field(ge=0)] = 0
    production_model: ProductionModel | None = None
    staging_model: StagingModel | None = None


def open_serving(home: Home) -> Store:
    """The place of configuration and features: in the bucket, else in `home`."""
    if home.model_store:
        return Bucket(f"{home.model_store.rstrip('/')}/serving")
    return Folder(home.root / "serving")


def read_config(store: Store) -> tuple[ServingConfig, int]:
    """The configuration, empty when there is none, and the generation of its file.

    Unknown or absent keys and wrong types raise UserError.
    """
    try:
        content, generation = store.read(CONFIG)
    except Missing:
        return ServingConfig(), NEW
    try:
        found = json.dumps(yaml.safe_load(content))
        return TypeAdapter(ServingConfig).validate_json(found), generation
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise UserError(
            f"{store.uri(CONFIG)} is no serving configuration: {error}\n"
            "The generation before is beside it; nba-ml deploy or rollback rewrites it."
        ) from None


def write_config(
    store: Store, production: ProductionModel | None, staging: StagingModel | None
) -> ServingConfig:
    """Serve these models from now on; the generation before is kept beside the file.

    Nothing is written when they are served already. Raises Taken when another writer
    was faster.
    """
    content, replaced, before = b"", NEW, ServingConfig()
    with suppress(Missing):
        content, replaced = store.read(CONFIG)
    kept = [re.fullmatch(r"model_config\.(\d+)\.yaml", name) for name in store.names()]
    last = max((int(match[1]) for match in kept if match), default=-1) + 1
    with suppress(UserError):  # what no one can read is replaced as well
        before, _ = read_config(store)
        last = before.generation
    wanted = ServingConfig(last + 1, production, staging)
    if before == replace(wanted, generation=before.generation):
        return before
    if replaced != NEW:
        with suppress(Taken):  # kept by an earlier attempt
            store.write(f"model_config.{last}.yaml", content)
    text = yaml.safe_dump(asdict(wanted), sort_keys=False)
    store.write(CONFIG, text.encode(), replaced)
    return wanted


@dataclass(frozen=True)
class Pointer:
    """Which snapshot is the newest, and where it comes from.

    `as_of` is the clock of the dbt build, ISO 8601, naive UTC.
    """

    path: str
    features_hash: str
    feature_version: str
    game_date: str
    mode: str
    as_of: str
    dbt_invocation_id: str

    @staticmethod
    def name(version: str) -> str:
        """The file of the pointer of a feature version."""
        return f"features_{version}.json"


@dataclass(frozen=True)
class Snapshot:
    """The features of one slate, as one build of the store had them.

    `rows` has KEYS and the features of `features` in their order, one row per player
    and game.
    """

    pointer: Pointer
    features: FeatureSet
    rows: pd.DataFrame


def take_snapshot(
    slate: pd.DataFrame, features: FeatureSet, mode: str, build: dict[str, Any]
) -> tuple[Snapshot, bytes]:
    """Rows of feature_store as a snapshot, and the Parquet file to publish."""
    feature_matrix(slate, features.names)  # refuses absent columns and infinity
    rows = slate[[*KEYS, *features.names]]
    content = rows.to_parquet(index=False)
    digest = hashlib.sha256(content).hexdigest()
    pointer = Pointer(
        path=f"features-{digest[:16]}.parquet",
        features_hash=digest,
        feature_version=features.version,
        game_date=f"{rows['game_date'].iloc[0]:%Y-%m-%d}",
        mode=mode,
        as_of=build["as_of"].isoformat(),
        dbt_invocation_id=build["dbt_invocation_id"],
    )
    return Snapshot(pointer, features, rows), content


def overwrite(store: Store, name: str, content: bytes) -> None:
    """Write a file, whatever is there, as from an attempt that was killed."""
    try:
        store.write(name, content)
    except Taken:
        there, generation = store.read(name)
        if there != content:
            store.write(name, content, generation)


def publish(store: Store, pointer: Pointer, content: bytes) -> None:
    """Make a snapshot what workers read: the file first, then the pointer to it."""
    overwrite(store, pointer.path, content)
    text = json.dumps(asdict(pointer), indent=2)
    overwrite(store, Pointer.name(pointer.feature_version), text.encode())


def read_pointer(store: Store, version: str) -> Pointer:
    """The newest snapshot of a feature version. Raises UserError."""
    name = Pointer.name(version)
    try:
        content, _ = store.read(name)
        return Pointer(**json.loads(content))
    except Missing:
        raise UserError(
            f"No features of version {version} are published: {store.uri(name)} is "
            "not there. Run: nba-ml predict"
        ) from None
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{store.uri(name)} is no pointer: {error}. Run: nba-ml predict"
        ) from None


def read_snapshot(store: Store, pointer: Pointer) -> Snapshot:
    """The published features that `pointer` names. Raises UserError."""
    try:
        content, _ = store.read(pointer.path)
    except Missing:
        raise UserError(
            f"There is no {store.uri(pointer.path)}, which the newest features were "
            "published as. Run: nba-ml predict"
        ) from None
    if hashlib.sha256(content).hexdigest() != pointer.features_hash:
        raise UserError(
            f"{store.uri(pointer.path)} is not the file that was published: its sha256 "
            f"is not {pointer.features_hash[:12]}. Delete it and run: nba-ml predict"
        )
    rows = pd.read_parquet(io.BytesIO(content))
    names = tuple(name for name in rows if name not in KEYS)
    return Snapshot(pointer, FeatureSet(pointer.feature_version, names), rows)
