"""How a deployer looks at what serves: through a worker, or as one, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import requests

from nba_ml import lineup, settings, spool
from nba_ml.lineup import Exchange, Lineup
from nba_ml.settings import Home, UserError


@dataclass(frozen=True)
class Seen:
    """Which models serve now, by id and sha256, and what keeps others from it."""

    production: tuple[str, str] | None = None
    staging: tuple[str, str] | None = None
    problems: list[str] = field(default_factory=list)


class Probe(Protocol):
    """A way to ask what serves. Everything asked is logged as any request is."""

    def look(self) -> Seen:
        """What serves now."""

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        """One request for each player; the answers, without those that failed."""


class Worker:
    """A running worker at `url`; its token is NBA_ML_TOKEN."""

    def __init__(self, url: str) -> None:
        self.url, self._session = url.rstrip("/"), requests.Session()
        if token := settings.token():
            self._session.headers["Authorization"] = f"Bearer {token}"

    def look(self) -> Seen:
        answer = self._request("GET", "/model")
        try:
            found = answer.json()
            models = [found[name] for name in ("production", "staging")]
            seen = [one and (one["model_id"], one["sha256"]) for one in models]
            return Seen(*seen, found["problems"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"What answers at {self.url} is no worker: {answer.text[:80]!r}"
            ) from error

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        answers = [
            self._request("POST", "/predict", json={"player_lookup": player})
            for player in players
        ]
        return [answer.json() for answer in answers if answer.ok]

    def _request(self, method: str, path: str, **content: Any) -> requests.Response:
        try:
            answer = self._session.request(
                method, self.url + path, timeout=10, **content
            )
        except requests.RequestException as error:
            raise UserError(
                f"The worker at {self.url} does not answer: {error}. "
                "Start it (nba-ml serve), or leave out --worker."
            ) from error
        if answer.status_code == 401:
            raise UserError(f"{self.url} refuses the token; set NBA_ML_TOKEN to its.")
        return answer


class InProcess:
    """What a worker of this home would do, for where none runs yet."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lineup: Lineup | None = None

    def look(self) -> Seen:
        try:
            self._lineup = lineup.load(self.home, self._lineup)
        except UserError as error:
            self._lineup = None
            return Seen(problems=[error.message])
        seats = (self._lineup.champion, self._lineup.challenger)
        seen = [seat and (seat.place.model_id, seat.place.sha256) for seat in seats]
        return Seen(*seen, list(self._lineup.problems))

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        self.look()
        answers, events = [], []
        for player in players:
            exchange = Exchange("/predict", None)
            try:
                if self._lineup is None:
                    raise UserError("No model is in production.")
                answers += exchange.ask(self._lineup, [(player, None)])
                exchange.status = 200
            except UserError:
                exchange.status = 503
            events += exchange.events()
        spool.write(self.home.spool, events)
        return answers
