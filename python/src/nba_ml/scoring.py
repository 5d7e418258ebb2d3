"""Scoring: one model over one snapshot of features, and the log rows of its answers."""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from nba_ml.artefact import Model, feature_matrix
from nba_ml.evaluation import Levels
from nba_ml.serving import Snapshot
from nba_ml.settings import UserError, present

REASONS = ("expected_points", "contributions")  # of a prediction, and not in its log


class UnknownPlayer(UserError):
    """The slate has no such player, or the model is not for that player."""


def bucket(experiment: str, player_lookup: str) -> float:
    """Where in [0, 1) a player falls; the same as the macro experiment_bucket."""
    digest = hashlib.md5(f"{experiment}:{player_lookup}".encode()).hexdigest()
    return int(digest[:8], 16) / 2**32


class Scorer:
    """Scores players of a snapshot. What does not change is prepared once.

    `in_scope` are the positions of those who have games enough for the model.
    """

    def __init__(self, model: Model, snapshot: Snapshot) -> None:
        manifest, rows = model.manifest, snapshot.rows
        self.model, self.snapshot = model, snapshot
        self._least = manifest.config["min_prior_games"]
        self._games = rows["games_played_prior"].to_list()
        self.in_scope = [i for i, n in enumerate(self._games) if n >= self._least]
        self._positions: dict[str, list[int]] = defaultdict(list)
        for i, player in enumerate(rows["player_lookup"]):
            self._positions[player].append(i)
        self._matrix = feature_matrix(rows, manifest.feature_names)
        self._levels = Levels(**manifest.levels)
        self._rows = _log_rows(model, snapshot)

    def position(self, player_lookup: str, game_id: str | None = None) -> int:
        """Where a player stands in the snapshot. Raises UnknownPlayer."""
        found = [
            i
            for i in self._positions.get(player_lookup, [])
            if game_id in (None, self._rows[i]["game_id"])
        ]
        day = self.snapshot.pointer.game_date
        if not found:
            game = f" {game_id}" if game_id else ""
            raise UnknownPlayer(
                f"{player_lookup} is not expected in a game{game} on {day}, the slate "
                "that is published. POST /predict/slate lists its players."
            )
        if len(found) > 1:
            games = ", ".join(self._rows[i]["game_id"] for i in found)
            raise UnknownPlayer(
                f"{player_lookup} is expected in {games}: name one as game_id."
            )
        if (games := self._games[found[0]]) < self._least:
            raise UnknownPlayer(
                f"{player_lookup} has played {games} games before {day}; the model is "
                f"for players with {self._least} or more."
            )
        return found[0]

    def key(self, position: int) -> tuple[str, str]:
        """player_lookup and game_id of a position."""
        row = self._rows[position]
        return row["player_lookup"], row["game_id"]

    def score(
        self, positions: Sequence[int], variant: str, request_id: str, why: bool = False
    ) -> list[dict[str, Any]]:
        """Rows of prediction_log for `positions`, in order; with REASONS if `why`.

        Ids follow from `request_id`: the same request is the same predictions.
        """
        if not positions:
            return []
        begun = time.perf_counter()
        points = self.model.score(self._matrix[positions])
        milliseconds = (time.perf_counter() - begun) * 1000
        is_replay = self.snapshot.pointer.mode == "replay"
        moment = self.snapshot.pointer.as_of if is_replay else present().isoformat()
        bounds = self._levels.apply(points)
        found = []
        for n, i in enumerate(positions):
            row = self._rows[i]
            identity = f"{request_id}|{row['game_id']}|{row['player_lookup']}|{variant}"
            found.append(
                row
                | {
                    "prediction_id": str(uuid5(NAMESPACE_OID, identity)),
                    "request_id": request_id,
                    "variant": variant,
                    "predicted_points": float(points[n]),
                    **{name: float(values[n]) for name, values in bounds.items()},
                    "inference_time_ms": milliseconds,
                    "predicted_at": moment,
                }
            )
        if why:
            names = self.model.manifest.feature_names
            reasons = self.model.contributions(self._matrix[positions]).tolist()
            for row, (*parts, rest) in zip(found, reasons, strict=True):
                row["expected_points"] = rest
                row["contributions"] = dict(zip(names, parts, strict=True))
        return found


def _log_rows(model: Model, snapshot: Snapshot) -> list[dict[str, Any]]:
    """What every prediction from these rows has in common with its repetitions."""
    manifest, rows = model.manifest, snapshot.rows
    shared = {
        "model_id": manifest.model_id,
        "artifact_sha256": manifest.artifact_sha256,
        "feature_version": manifest.feature_version,
    }
    origin = ("mode", "game_date", "features_hash", "dbt_invocation_id")
    shared |= {name: getattr(snapshot.pointer, name) for name in origin}
    columns = ["player_lookup", "game_id", "feature_quality_score"]
    own = rows[[*columns, "has_availability_report"]].astype(object)
    values = rows[manifest.feature_names].astype(float).astype(object)
    vectors = values.where(values.notna(), None).to_dict("records")
    return [
        shared | row | {"features": json.dumps(vector)}
        for row, vector in zip(own.to_dict("records"), vectors, strict=True)
    ]
