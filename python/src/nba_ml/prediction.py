"""Predictions of one slate: scored, logged, and its features published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import NAMESPACE_OID, uuid5

import pandas as pd

from nba_ml import artefact, publishing, registry, serving, spool
from nba_ml.scoring import Scorer
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve

VARIANTS = {name: name for name in ("production", "staging")}


@dataclass(frozen=True)
class Slate:
    """The predictions of one date, one row per player, highest first.

    `rows` has the columns of prediction_log. `skipped` counts players that
    have too few games to be in scope.
    """

    model_id: str
    game_date: date
    mode: str
    rows: pd.DataFrame
    skipped: int
    is_synced: bool
    notes: list[str]


def predict(
    home: Home,
    day: date | None = None,
    model_id: str | None = None,
    mode: str | None = None,
) -> Slate:
    """Score the scheduled games of `day` (default: the next slate) and log it.

    Source: feature_store of the model's feature version. A repeat on the same
    features logs nothing twice. The features of the slate are published for the
    workers, for this model and for those that are served; `backfill` scores played
    games too, and does not touch what is served. Raises UserError.
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
    manifest, pointer = model.manifest, snapshot.pointer
    identity = (manifest.model_id, manifest.artifact_sha256)
    identity += (pointer.features_hash, pointer.mode)
    rows = scorer.score(
        scorer.in_scope,
        variant=VARIANTS.get(chosen["status"], "candidate"),
        request_id=str(uuid5(NAMESPACE_OID, "|".join(identity))),
    )
    if pointer.mode != "backfill":
        serving.publish(serving.open_serving(home), pointer, content)
        for other in publishing.served_feature_versions(home):
            if other != version:
                publishing.publish(home, other, day, pointer.mode)
    written = spool.write(
        home.spool, [spool.Event("prediction_log", row) for row in rows]
    )
    is_synced, notes = spool.try_sync(home, written)
    return Slate(
        model_id=model.manifest.model_id,
        game_date=date.fromisoformat(pointer.game_date),
        mode=pointer.mode,
        rows=pd.DataFrame(rows).sort_values("predicted_points", ascending=False),
        skipped=len(snapshot.rows) - len(rows),
        is_synced=is_synced,
        notes=notes,
    )
