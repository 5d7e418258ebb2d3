"""Predictions of one slate: scored, logged, and its features published."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import NAMESPACE_OID, uuid4, uuid5

import numpy as np
import pandas as pd

from nba_ml import artefact, registry, spool, training
from nba_ml.artefact import FeatureSet, Manifest
from nba_ml.evaluation import Levels
from nba_ml.files import write_atomically
from nba_ml.settings import Home, UserError, present
from nba_ml.store import resolve
from nba_ml.warehouse import Warehouse, connect

LIVE = timedelta(hours=24)
# A prediction is the same when these are: a repeat gets the same id.
IDENTITY = ["model_id", "artifact_sha256", "features_hash", "game_id"]
IDENTITY += ["player_lookup", "mode"]


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
    features logs nothing twice. `backfill` scores played games too, and does
    not touch what is served. Raises UserError.
    """
    spool.sync(home)
    warehouse = connect(home)
    chosen = registry.choose(home, model_id)
    version, status = str(chosen["feature_version"]), chosen["status"]
    catalog = training.read_features(warehouse, version)
    features = FeatureSet(version, tuple(catalog["feature_name"]))
    store, name = resolve(home, chosen["gcs_path"])
    model = artefact.load(store, name, features, chosen["artifact_sha256"])
    [build] = warehouse.read("select * from build_info").to_dict("records")
    now = present()
    if mode is None:
        mode = "live" if abs(now - build["as_of"]) <= LIVE else "replay"
    found = _read(warehouse, version, day, scheduled=mode != "backfill")
    in_scope = found["games_played_prior"] >= model.manifest.config["min_prior_games"]
    slate = found[in_scope].reset_index(drop=True)
    if slate.empty:
        raise UserError(f"All {len(found)} players of that date have too few games.")
    begun = time.perf_counter()
    points = model.predict(slate)
    milliseconds = (time.perf_counter() - begun) * 1000
    content = _snapshot(slate, features)
    snapshot = hashlib.sha256(content).hexdigest()
    predicted_at = build["as_of"] if mode == "replay" else now
    log = _log(model.manifest, slate, points, mode, snapshot).assign(
        variant=status if status in ("production", "staging") else "candidate",
        inference_time_ms=milliseconds,
        request_id=str(uuid4()),
        predicted_at=predicted_at.isoformat(),
    )
    if mode != "backfill":
        name = f"features-{snapshot[:16]}.parquet"
        write_atomically(home.root / "serving" / name, content)
        pointer = {
            "path": name,
            "features_hash": snapshot,
            "feature_version": version,
            "game_date": log["game_date"].iloc[0],
            "players": len(slate),
            "as_of": build["as_of"].isoformat(),
            "dbt_invocation_id": build["dbt_invocation_id"],
        }
        text = json.dumps(pointer, indent=2)
        write_atomically(home.root / "serving" / "features.json", text.encode())
    rows = log.to_dict("records")
    written = spool.write(
        home.spool, [spool.Event("prediction_log", row) for row in rows]
    )
    is_synced, notes = spool.try_sync(home, written)
    return Slate(
        model_id=model.manifest.model_id,
        game_date=slate["game_date"].iloc[0].date(),
        mode=mode,
        rows=log.sort_values("predicted_points", ascending=False),
        skipped=int((~in_scope).sum()),
        is_synced=is_synced,
        notes=notes,
    )


def _read(
    warehouse: Warehouse, version: str, day: date | None, scheduled: bool
) -> pd.DataFrame:
    store = f"feature_store_{version}"
    rows_wanted = "season_type = 'regular'" + (" and is_scheduled" if scheduled else "")
    next_slate = warehouse.read(
        f"select min(game_date) as day from {store}"
        " where is_scheduled and season_type = 'regular'"
    )["day"].iloc[0]
    if day is None and pd.isna(next_slate):
        raise UserError(
            "No game is scheduled in the store. Import a schedule and run dbt build, "
            "or name a date with --date and --mode backfill."
        )
    found = warehouse.read(
        f"select store.*, reports.game_id is not null as has_availability_report"
        f" from {store} as store"
        " left join (select distinct game_id from stg_player_availability) as reports"
        " on store.game_id = reports.game_id"
        f" where {rows_wanted} and game_date = ?"
        " order by store.game_id, store.player_lookup",
        [day or next_slate.date()],
    )
    if found.empty:
        known = "no game is scheduled"
        if not pd.isna(next_slate):
            known = f"the next slate is {next_slate:%Y-%m-%d}"
        kind = "scheduled" if scheduled else "regular-season"
        raise UserError(f"The store has no {kind} game on {day}; {known}.")
    return found


def _snapshot(slate: pd.DataFrame, features: FeatureSet) -> bytes:
    keys = ["game_id", "player_lookup", "game_date", "feature_quality_score"]
    return slate[[*keys, *features.names]].to_parquet(index=False)


def _log(
    manifest: Manifest,
    slate: pd.DataFrame,
    points: np.ndarray,
    mode: str,
    snapshot: str,
) -> pd.DataFrame:
    values = slate[manifest.feature_names].astype(float).astype(object)
    vectors = values.where(values.notna(), None).to_dict("records")
    bounds = Levels(**manifest.levels).apply(points)
    log = slate[["player_lookup", "game_id"]].assign(
        game_date=slate["game_date"].dt.strftime("%Y-%m-%d"),
        predicted_points=points,
        **bounds,
        feature_quality_score=slate["feature_quality_score"].astype(float),
        has_availability_report=slate["has_availability_report"].astype(bool),
        features=[json.dumps(vector) for vector in vectors],
        model_id=manifest.model_id,
        artifact_sha256=manifest.artifact_sha256,
        mode=mode,
        feature_version=manifest.feature_version,
        features_hash=snapshot,
    )
    keys = log[IDENTITY].agg("|".join, axis=1)
    return log.assign(prediction_id=[str(uuid5(NAMESPACE_OID, key)) for key in keys])
