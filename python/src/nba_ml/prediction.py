"""Predictions of one slate: scored, logged, and its features published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import NAMESPACE_OID, uuid5

import pandas as pd

from nba_ml import artefact, registry, serving, spool, training
from nba_ml.artefact import FeatureSet
from nba_ml.scoring import Scorer
from nba_ml.serving import Snapshot
from nba_ml.settings import Home, UserError, present
from nba_ml.store import resolve
from nba_ml.warehouse import Warehouse, connect

LIVE = timedelta(hours=24)
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
    snapshot, content = snapshot_of(home, str(chosen["feature_version"]), day, mode)
    store, name = resolve(home, chosen["gcs_path"])
    model = artefact.load(store, name, snapshot.features, chosen["artifact_sha256"])
    scorer = Scorer(model, snapshot)
    if not scorer.in_scope:
        count = len(snapshot.rows)
        raise UserError(f"All {count} players of that date have too few games.")
    identity = [model.manifest.model_id, model.manifest.artifact_sha256]
    identity += [snapshot.pointer.features_hash, snapshot.pointer.mode]
    rows = scorer.score(
        scorer.in_scope,
        variant=VARIANTS.get(chosen["status"], "candidate"),
        request_id=str(uuid5(NAMESPACE_OID, "|".join(identity))),
    )
    if (pointer := snapshot.pointer).mode != "backfill":
        serving.publish(serving.open_serving(home), pointer, content)
        for version in registry.served_feature_versions(home):
            if version != snapshot.features.version:
                publish(home, version, day, pointer.mode)
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


def publish(
    home: Home, version: str, day: date | None = None, mode: str | None = None
) -> Snapshot:
    """Publish the features of a slate, by default the next one, for the workers."""
    snapshot, content = snapshot_of(home, version, day, mode)
    serving.publish(serving.open_serving(home), snapshot.pointer, content)
    return snapshot


def snapshot_of(
    home: Home, version: str, day: date | None = None, mode: str | None = None
) -> tuple[Snapshot, bytes]:
    """The features of one slate as the store has them, and the file to publish.

    Without `mode` it is live when the tables are less than 24 hours old.
    """
    warehouse = connect(home)
    catalog = training.read_features(warehouse, version)
    features = FeatureSet(version, tuple(catalog["feature_name"]))
    [build] = warehouse.read("select * from build_info").to_dict("records")
    if mode is None:
        mode = "live" if abs(present() - build["as_of"]) <= LIVE else "replay"
    slate = _read(warehouse, version, day, scheduled=mode != "backfill")
    return serving.take_snapshot(slate, features, mode, build)


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
