"""The registry as Python sees it: who is registered, what comes next, what is live."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

import pandas as pd

from nba_ml import artefact, settings, spool
from nba_ml.artefact import Version
from nba_ml.settings import Home, UserError
from nba_ml.store import open_store, resolve
from nba_ml.warehouse import connect, records

Model = dict[str, Any]  # a row of model_registry
BUMPS = ("patch", "minor", "major")


@dataclass(frozen=True)
class Candidate:
    """What decides a version: the things that one training run depends on.

    `config` and `library_versions` are JSON with sorted keys.
    """

    feature_version: str
    algorithm: str
    features_hash: str
    config: str
    training_frame_sha256: str
    library_versions: str

    def bump_from(self, earlier: Candidate) -> str | None:
        """major, minor or patch: what changed since `earlier`; None for nothing."""
        names = ("feature_version", "algorithm", "features_hash")
        if any(getattr(self, name) != getattr(earlier, name) for name in names):
            return "major"
        names = ("config", "training_frame_sha256")
        if any(getattr(self, name) != getattr(earlier, name) for name in names):
            return "minor"
        return "patch" if self.library_versions != earlier.library_versions else None


@dataclass(frozen=True)
class Registered:
    """A model that has a trained event, in the warehouse or still in the spool."""

    model_id: str
    version: Version
    candidate: Candidate
    location: str


def canonical(value: Any) -> str:
    """JSON that is equal when the values are."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def registered(home: Home) -> list[Registered]:
    """All registered models, oldest version first; the spool counts.

    The spool is read first: an event leaves it only after its commit.
    """
    names = list(Candidate.__dataclass_fields__)
    events = spool.rows(home.spool, "model_events")
    unsynced = [event for event in events if event["event_type"] == "trained"]
    found = {
        row["model_id"]: Registered(
            row["model_id"],
            Version.parse(row["model_version"]),
            Candidate(**{name: row[name] for name in names}),
            row["gcs_path"],
        )
        for row in [*unsynced, *read_models(home)]
    }
    return sorted(found.values(), key=lambda model: model.version)


def next_version(
    models: Sequence[Registered],
    candidate: Candidate,
    taken: set[Version],
    bump: str | None = None,
    force: bool = False,
) -> Version:
    """The version of `candidate` after the newest of `models`; never a taken one.

    Raises UserError when `bump` is smaller than what changed, or when nothing
    changed and neither `force` nor `bump` asks for a model all the same.
    """
    if not models and not taken:
        return Version(1, 0, 0)
    needed: str | None = "minor"
    if models:
        needed = candidate.bump_from(models[-1].candidate)
        if needed is None and not (force or bump):
            raise UserError(
                f"Nothing changed since {models[-1].model_id}: same features, "
                "configuration, rows and libraries. "
                "Use --force for a patch version of it."
            )
    needed = needed or "patch"
    if bump and BUMPS.index(bump) < BUMPS.index(needed):
        raise UserError(
            f"--bump {bump} is too small: this is a {needed} change"
            f" since {models[-1].model_id if models else 'the last reservation'}. "
            f"Use --bump {needed}, or leave it out."
        )
    newest = max(taken | {model.version for model in models})
    if (chosen := bump or needed) == "major":
        return Version(newest.major + 1, 0, 0)
    if chosen == "minor":
        return Version(newest.major, newest.minor + 1, 0)
    return Version(newest.major, newest.minor, newest.patch + 1)


def user() -> str:
    """Who runs this; a container may have no name for its user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def model_event(
    event_type: str, model_id: str, *, at: datetime | None = None, **columns: Any
) -> spool.Event:
    """A row for model_events. `event_sequence` decides between equal times."""
    version = model_id.removeprefix(f"{artefact.ALGORITHM}_v")
    return spool.Event(
        "model_events",
        {
            "event_id": str(uuid4()),
            "event_type": event_type,
            "event_at": (at or settings.clock()).isoformat(),
            "event_sequence": time.time_ns(),
            "model_id": model_id,
            "model_version": version,
            "created_by": user(),
            **columns,
        },
    )


def read_models(home: Home) -> list[Model]:
    """The rows of model_registry, oldest version first."""
    models = connect(home).read("select * from model_registry").to_dict("records")
    return sorted(models, key=lambda model: Version.parse(model["model_version"]))


def choose(home: Home, model_id: str | None) -> Model:
    """The registry row of `model_id` (or a version); default production, else the
    newest trained. Raises UserError when there is none.
    """
    models = read_models(home)
    for model in models:
        if model_id in (model["model_id"], model["model_version"]):
            return model
    if model_id:
        known = ", ".join(model["model_id"] for model in models) or "none"
        raise UserError(f"No model {model_id} is registered (known: {known}).")
    found = [model for model in models if model["status"] != "retired"]
    if not found:
        raise UserError("No model is registered. Run: nba-ml train")
    return max(reversed(found), key=lambda model: model["status"] == "production")


def suspicions(home: Home, model_id: str) -> list[str]:
    """A sentence when a model is better than honest features allow."""
    try:
        gates = connect(home).read(
            "select explanation, reason from model_gates"
            " where model_id = ? and gate = 'not_too_good' and value < limit_value",
            [model_id],
        )
    except UserError as error:  # the model is registered all the same
        return [error.message]
    return [
        f"WARNING: suspect a leak: {gate.explanation} {gate.reason}."
        for gate in gates.itertuples()
    ]


def status(home: Home) -> dict[str, Any]:
    """Models, the live one, freshness of the data, spool backlog and orphans."""
    warehouse = connect(home)
    models = warehouse.read(
        "select model_id, status, trained_at, deployed_at, feature_version, test_mae,"
        " baseline_mae, skill, test_accuracy, training_rows, gcs_path"
        " from model_registry order by trained_at, model_id"
    )
    data = warehouse.read(
        "select build_info.as_of, build_info.built_at, store.* from build_info"
        " cross join (select count(*) as store_rows,"
        " max(case when not is_scheduled then game_date end) as last_game_date,"
        " min(case when is_scheduled then game_date end) as next_slate_date"
        " from feature_store) as store"
    )
    files = spool.pending(home.spool)
    live = models.loc[models["status"] == "production", "model_id"]
    return {
        "models": records(models),
        "live_model_id": live.iloc[0] if len(live) else None,
        "warehouse": warehouse.where,
        "data": records(data)[0] if len(data) else None,
        "spool": {"files": len(files), "oldest": files[0].name if files else None},
        "orphans": list(_orphans(home, models)),
    }


def compare(home: Home, model_id: str, other_model_id: str) -> list[dict[str, Any]]:
    """Two models on identical test rows, by population. Raises UserError if none."""
    found = connect(home).read(
        "select * from model_comparison where model_id = ? and other_model_id = ?"
        " order by population",
        [model_id, other_model_id],
    )
    if found.empty:
        raise UserError(
            f"{model_id} and {other_model_id} share no test rows; see: nba-ml status"
        )
    return records(found)


def _orphans(home: Home, models: pd.DataFrame) -> Iterator[str]:
    unsynced = {row["model_id"] for row in spool.rows(home.spool, "model_events")}
    known = set(models["model_id"]) | unsynced
    store = open_store(home)
    for lock in map(PurePosixPath, artefact.reservations(store)):
        yield f"{lock.stem}: reserved; in training, or swept by the next nba-ml train"
        known.add(lock.stem)
    for version in sorted(artefact.taken(store)):
        if version.model_id not in known:
            yield f"{version.model_id}: has files but is not registered"
    stored = set(map(store.uri, store.names()))
    for model_id, location in models[["model_id", "gcs_path"]].itertuples(index=False):
        place, name = resolve(home, location)
        if place.uri(name) not in stored and name not in place.names():
            yield f"{model_id}: registered, but {place.uri(name)} is missing"
