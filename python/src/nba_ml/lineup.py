"""The lineup of a worker: champion, challenger and slate, replaced whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from nba_ml import artefact, serving, settings
from nba_ml.artefact import Model
from nba_ml.scoring import REASONS, Scorer, UnknownPlayer, bucket
from nba_ml.serving import Pointer, ProductionModel, ServingConfig, StagingModel
from nba_ml.settings import Home, UserError
from nba_ml.spool import Event
from nba_ml.store import Store, resolve

Row = dict[str, Any]
Asked = tuple[str, str | None]  # player_lookup and game_id


class NotServed(UserError):
    """The slate that is published is of another date."""


class NoModel(UserError):
    """The configuration has no production model: nothing may be served."""


class Seat:
    """A model of the configuration over the newest features of its version.

    The file is read when it is first needed; `model` is one that was read before.
    """

    def __init__(
        self,
        home: Home,
        place: ProductionModel | StagingModel,
        pointer: Pointer,
        model: Model | None = None,
    ) -> None:
        self.home, self.place, self.pointer, self.model = home, place, pointer, model
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None

    @property
    def scorer(self) -> Scorer:
        """The model, verified, over its features. Raises UserError."""
        with self._lock:
            if self._scorer is None:
                store = serving.open_serving(self.home)
                snapshot = serving.read_snapshot(store, self.pointer)
                if self.model is None:
                    files, name = resolve(self.home, self.place.gcs_path)
                    features, sha256 = snapshot.features, self.place.sha256
                    self.model = artefact.load(files, name, features, sha256)
                self._scorer = Scorer(self.model, snapshot)
            return self._scorer

    @property
    def is_loaded(self) -> bool:
        return self._scorer is not None


@dataclass(frozen=True)
class Lineup:
    """What answers a request. `problems` say why a challenger stays on the bench."""

    config: ServingConfig
    champion: Seat
    challenger: Seat | None = None
    problems: tuple[str, ...] = ()

    def answer(
        self,
        request_id: str,
        players: Iterable[Asked] | None = None,
        game_date: str | None = None,
        why: bool = False,
    ) -> tuple[list[Row], list[Row]]:
        """Rows of prediction_log: the answers in order, and what only the log gets.

        `players` are pairs of player_lookup and game_id (None: the only one); without
        them all of the slate is meant. `why` gives answers their REASONS. Raises
        UnknownPlayer and NotServed.
        """
        champion = self.champion.scorer
        slate = champion.snapshot.pointer.game_date
        if game_date not in (None, slate):
            raise NotServed(
                f"No features of {game_date} are published; the slate is {slate}. "
                f"Ask for that date, or run: nba-ml predict --date {game_date}"
            )
        positions = champion.in_scope
        if players is not None:
            positions = [champion.position(*player) for player in players]
        twins = self._twins(champion, positions)
        is_split = bool(self.challenger and self.challenger.place.mode == "split")
        shadows: dict[int, Row] = {}
        if self.challenger and twins:
            challenger, rows = self.challenger.scorer, list(twins.values())
            found = challenger.score(rows, "staging", request_id, is_split and why)
            shadows = dict(zip(twins, found, strict=True))
        own = [i for i in positions if not (is_split and i in shadows)]
        found = champion.score(own, "production", request_id, why)
        answers = dict(zip(own, found, strict=True))
        if is_split:
            answers, shadows = answers | shadows, {}
        return [answers[i] for i in positions], list(shadows.values())

    def _twins(self, champion: Scorer, positions: Iterable[int]) -> dict[int, int]:
        """Position by the champion's: the rows that the challenger has to score."""
        if not self.challenger:
            return {}
        place, scorer = self.challenger.place, self.challenger.scorer
        twins = {}
        for i in positions:
            player, game = champion.key(i)
            if place.mode == "split" and (
                bucket(place.model_id, player) >= place.traffic_split
            ):
                continue
            # one whom the challenger is not for stays with the champion
            with suppress(UnknownPlayer):
                twins[i] = scorer.position(player, game)
        return twins


@dataclass
class Exchange:
    """One request, and what the log will have of it.

    `answers` are rows of prediction_log; `unseen` are those that only the log gets.
    """

    route: str
    model_id: str | None
    request_id: str = field(default_factory=lambda: str(uuid4()))
    requested_at: str = field(default_factory=lambda: settings.clock().isoformat())
    begun: float = field(default_factory=time.perf_counter)
    status: int = 0
    answers: Sequence[Row] = ()
    unseen: Sequence[Row] = ()
    is_begun: bool = False
    is_last: bool = False  # it is given even when it cannot be logged

    def ask(self, found: Lineup, players: Sequence[Asked], *how: Any) -> Sequence[Row]:
        """What `found` answers, kept for the log; `how` as there. Raises UserError."""
        # reasons take long: under a route of their own they are not judged
        _, is_asked_why = how or (None, False)
        self.route = self.route.split("?")[0] + "?contributions" * is_asked_why
        self.model_id = found.champion.place.model_id
        self.answers, self.unseen = found.answer(self.request_id, players, *how)
        return self.answers

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.begun

    def events(self) -> list[Event]:
        """Predictions, and the request: its latency is the time until this moment."""
        answers = self.answers if self.status == 200 else ()
        unseen = self.unseen if self.status == 200 else ()
        row = {
            "request_id": self.request_id,
            "route": self.route,
            "status": self.status,
            "row_count": len(answers),
            "latency_ms": self.seconds * 1000,
            "requested_at": self.requested_at,
            "model_id": self.model_id,
        }
        found = [
            Event("prediction_log", {k: v for k, v in row.items() if k not in REASONS})
            for row in (*answers, *unseen)
        ]
        return [*found, Event("request_log", row)]


def load(home: Home, before: Lineup | None = None) -> Lineup:
    """The lineup that configuration and features say now; `before` if it is the same.

    A model that is loaded is not loaded again. A challenger that cannot play stays on
    the bench; without a champion there is no lineup: UserError. `before` may serve on,
    but not after NoModel.
    """
    store = serving.open_serving(home)
    config, _ = serving.read_config(store)
    if config.production_model is None:
        raise NoModel("No model is in production. Run: nba-ml deploy")
    champion = _seat(home, store, config.production_model, before)
    challenger, problems = None, []
    if config.staging_model:
        try:
            challenger = _seat(home, store, config.staging_model, before)
        except UserError as error:
            problems.append(f"{config.staging_model.model_id}: {error.message}")
    found = Lineup(config, champion, challenger, tuple(problems))
    return before if before == found else found


def _seat(
    home: Home,
    store: Store,
    place: ProductionModel | StagingModel,
    before: Lineup | None,
) -> Seat:
    seats = (before.champion, before.challenger) if before else ()
    # by name, too: two versions may have the same file, and other manifests
    same = (place.model_id, place.sha256)
    known = [s for s in seats if s and (s.place.model_id, s.place.sha256) == same]
    model = next((seat.model for seat in known if seat.model), None)
    files, name = resolve(home, place.gcs_path)
    manifest = model.manifest if model else artefact.read_manifest(files, name)
    pointer = serving.read_pointer(store, manifest.feature_version)
    for seat in known:
        if (seat.place, seat.pointer) == (place, pointer):
            return seat
    seat = Seat(home, place, pointer, model)
    if not (isinstance(place, ProductionModel) and place.load_strategy == "lazy"):
        _ = seat.scorer
    return seat
