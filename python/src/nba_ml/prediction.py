"""Predictions of one slate: scored, logged, and its features published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pandas as pd

from nba_ml import artefact, publishing, registry, serving, settings, spool
from nba_ml.artefact import Manifest
from nba_ml.scoring import Scorer
from nba_ml.serving import Pointer
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve

VARIANTS = {name: name for name in ("production", "staging")}


@dataclass(frozen=True)
class Slate:
    """The predictions of one date, one row per player, highest first.

    `rows` has the columns of prediction_log. `skipped` counts players that
    have too few games to be in scope. `why` are the rows that are explained.
    """

    model_id: str
    game_date: date
    mode: str
    rows: pd.DataFrame
    skipped: int
    is_synced: bool
    notes: list[str]
    why: list[dict[str, Any]]


@dataclass(frozen=True)
class Replayed:
    """What a replay logged: game days and predictions, first and last date."""

    model_id: str
    first_date: date
    last_date: date
    game_days: int
    predictions: int
    is_synced: bool
    notes: list[str]


def predict(
    home: Home,
    day: date | None = None,
    model_id: str | None = None,
    mode: str | None = None,
    why: str | None = None,
) -> Slate:
    """Score the scheduled games of `day` (default: the next slate) and log it.

    Source: feature_store of the model's feature version. A repeat on the same
    features logs nothing twice. The features of the slate are published for the
    workers, for this model and for those that are served; `backfill` scores played
    games too, and does not touch what is served. `why` is a player whose prediction is
    explained. Raises UserError.
    """
    spool.sync(home)
    chosen = registry.choose(home, model_id)
    version = str(chosen["feature_version"])
    snapshot, content = publishing.snapshot_of(home, version, day, mode)
    store, name = resolve(home, chosen["gcs_path"])
    model = artefact.load(store, name, snapshot.features, chosen["artifact_sha256"])
    scorer = Scorer(model, snapshot)
    if not scorer.in_scope:
        raise UserError("All players of that date have too few games.")
    pointer = snapshot.pointer
    variant = VARIANTS.get(chosen["status"], "candidate")
    request = variant, _request_id(model.manifest, pointer)
    rows = scorer.score(scorer.in_scope, *request)
    reasons = scorer.score([scorer.position(why)], *request, True) if why else []
    if pointer.mode != "backfill":
        serving.publish(serving.open_serving(home), pointer, content)
        served = [m for m in registry.read_models(home) if m["status"] in VARIANTS]
        for other in sorted({m["feature_version"] for m in served} - {version}):
            publishing.publish(home, other, day, pointer.mode)
    is_synced, notes = spool.record(home, "prediction_log", rows)
    return Slate(
        model_id=model.manifest.model_id,
        game_date=date.fromisoformat(pointer.game_date),
        mode=pointer.mode,
        rows=pd.DataFrame(rows).sort_values("predicted_points", ascending=False),
        skipped=len(snapshot.rows) - len(rows),
        is_synced=is_synced,
        notes=notes,
        why=reasons,
    )


def replay(
    home: Home, since: date, until: date | None = None, model_id: str | None = None
) -> Replayed:
    """Predict the past game days from `since` to `until` as if each were today.

    Who plays is known as from a report that made no mistake: by who appeared.
    Source: feature_store of the model's feature version. A repeat logs nothing twice.
    Raises UserError when the model may have learnt from one of the days.
    """
    chosen = registry.choose(home, model_id)
    version = str(chosen["feature_version"])
    store, name = resolve(home, chosen["gcs_path"])
    manifest = artefact.read_manifest(store, name)
    trained = settings.league_date(datetime.fromisoformat(manifest.as_of))
    if since < trained:
        raise UserError(
            f"{manifest.model_id} was trained on games before {trained}: a replay from "
            f"{since} would show what it has learnt by heart. Use --since {trained}."
        )
    model, days, rows = None, [], []
    for snapshot in publishing.past_snapshots(home, version, since, until or date.max):
        model = model or artefact.load(
            store, name, snapshot.features, chosen["artifact_sha256"]
        )
        scorer, pointer = Scorer(model, snapshot), snapshot.pointer
        days.append(date.fromisoformat(pointer.game_date))
        request = _request_id(manifest, pointer)
        rows += scorer.score(scorer.in_scope, "production", request)
    if not rows:
        raise UserError(
            f"The store has no played regular-season game from {since} to "
            f"{until or 'now'}. See nba-ml status for its dates."
        )
    is_synced, notes = spool.record(home, "prediction_log", rows)
    return Replayed(
        manifest.model_id, days[0], days[-1], len(days), len(rows), is_synced, notes
    )


def _request_id(manifest: Manifest, pointer: Pointer) -> str:
    """The same model on the same features is the same request."""
    identity = (manifest.model_id, manifest.artifact_sha256)
    return str(
        uuid5(NAMESPACE_OID, "|".join((*identity, pointer.features_hash, pointer.mode)))
    )
