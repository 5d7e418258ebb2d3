"""The features of a slate as the store has them, published for the workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pandas as pd

from nba_ml import serving, training
from nba_ml.artefact import FeatureSet
from nba_ml.serving import Snapshot
from nba_ml.settings import Home, UserError, present
from nba_ml.warehouse import Warehouse, connect

LIVE = timedelta(hours=24)
_SLATES = (
    "select store.*, sources.availability_source <> 'none' as has_availability_report"
    " from {store} as store inner join int_availability_sources as sources"
    " on store.game_id = sources.game_id and store.team_abbr = sources.team_abbr"
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
    features, build = _known(warehouse, version)
    if mode is None:
        mode = "live" if abs(present() - build["as_of"]) <= LIVE else "replay"
    slate = _read(warehouse, version, day, scheduled=mode != "backfill")
    return serving.take_snapshot(slate, features, mode, build)


def past_snapshots(
    home: Home, version: str, since: date, until: date
) -> Iterator[Snapshot]:
    """The features of each past game day from `since` to `until`, both included.

    Their clock is noon of the day. Later rows change no feature of a played game
    (tests of future invariance), so that one build has them all.
    """
    warehouse = connect(home)
    features, build = _known(warehouse, version)
    found = warehouse.read(
        _SLATES.format(store=f"feature_store_{version}")
        + " where season_type = 'regular' and not is_scheduled"
        " and game_date between ? and ?"
        " order by store.game_date, store.game_id, store.player_lookup",
        [since, until],
    )
    for day, slate in found.groupby("game_date"):
        clock = build | {"as_of": day + timedelta(hours=12)}
        yield serving.take_snapshot(slate, features, "replay", clock)[0]


def _known(warehouse: Warehouse, version: str) -> tuple[FeatureSet, dict[str, Any]]:
    catalog = training.read_features(warehouse, version)
    features = training.feature_set(version, catalog)
    return features, training.read_build(warehouse)


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
        _SLATES.format(store=store) + f" where {rows_wanted} and game_date = ?"
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
