"""The worker: predictions over HTTP, each logged before its answer leaves.

It reads configuration, models and features that others publish, and never opens the
warehouse.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import ipaddress
import json
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import prometheus_client as prometheus
import uvicorn
import xgboost
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nba_ml import lineup, settings, spool
from nba_ml.journal import Journal, Segment, Stdout
from nba_ml.lineup import Asked, Exchange, Lineup, NoModel, NotServed, Row
from nba_ml.scoring import Scorer, UnknownPlayer
from nba_ml.settings import Home, UserError

BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1)
LARGEST = 64 * 1024  # bytes of a body
TOO_LARGE = f"The body has more than {LARGEST:,} bytes. Ask in several requests."
PROBES = {"/healthz", "/readyz"}  # answered without a token
LOGGED = {"/predict", "/predict/slate", "other"}  # rows of request_log
ROUTES = LOGGED | PROBES | {"/model", "/metrics", "/openapi.json"}
log = logging.getLogger("nba_ml.worker")
T = TypeVar("T")
Key = Annotated[str, Field(min_length=1, max_length=100)]
Day = Annotated[
    str,
    Field(json_schema_extra={"format": "date"}),
    AfterValidator(lambda text: f"{datetime.strptime(text, '%Y-%m-%d'):%Y-%m-%d}"),
]


class Question(BaseModel):
    """Of which date, and whether with `contributions`: why these points."""

    model_config = ConfigDict(extra="forbid", strict=True)
    game_date: Day | None = None
    contributions: bool = False


class PlayerAsked(Question):
    """A player of the slate; `game_id` when there are several games of that player."""

    player_lookup: Key
    game_id: Key | None = None


class SlateAsked(Question):
    """Some players of the slate, or all."""

    players: list[Key] | None = Field(None, min_length=1, max_length=1000)


class Prediction(BaseModel):
    """A row of prediction_log. The interval holds 80 %; confidence is within 5 points.

    `variant` says which model answered: production, or staging (an A/B test).
    `contributions`, if asked for, are the points that each feature adds (SHAP values);
    with `expected_points` they are predicted_points within 0.001, but for its clamp to
    0..60.
    """

    prediction_id: str
    request_id: str
    model_id: str
    variant: str
    player_lookup: str
    game_id: str
    game_date: str
    predicted_points: float
    predicted_low: float
    predicted_high: float
    confidence: float
    feature_quality_score: float | None
    feature_version: str
    features_hash: str
    mode: str
    predicted_at: str
    expected_points: float | None = None
    contributions: dict[str, float] | None = None


class Skipped(BaseModel):
    """A player without a prediction."""

    player_lookup: str
    reason: str


class Slate(BaseModel):
    """Predictions, and who has none."""

    request_id: str
    game_date: str
    features_hash: str
    skipped: list[Skipped]
    predictions: list[Prediction]


class Problem(BaseModel):
    """Why there is no answer, in a sentence."""

    error: str
    request_id: str


class Health(BaseModel):
    """The worker can answer."""

    model_id: str


class Served(BaseModel):
    """A model that answers. `mode` and `traffic_split` are the challenger's."""

    model_id: str
    sha256: str
    is_loaded: bool
    mode: str | None = None
    traffic_split: float | None = None


class Report(BaseModel):
    """What is served. `problems` say what should be and is not."""

    generation: int | None = None
    production: Served | None = None
    staging: Served | None = None
    slate: dict[str, str] | None = None
    loaded_at: str | None = None
    problems: list[str]
    xgboost: str = xgboost.__version__


class NotReady(UserError):
    """There is no lineup."""


class Metrics:
    """What /metrics shows, in a registry of its own."""

    def __init__(self, home: Home) -> None:
        self.registry = prometheus.CollectorRegistry()

        def new(kind: Callable[..., T], name: str, text: str, *labels: str) -> T:
            return kind(f"nba_ml_{name}", text, labels, registry=self.registry)

        counter, gauge = prometheus.Counter, prometheus.Gauge
        seconds = partial(prometheus.Histogram, buckets=BUCKETS)
        self.requests = new(counter, "requests", "Answers", "route", "status")
        self.seconds = new(
            seconds, "request_seconds", "From arrival to the end", "route"
        )
        labels = ("model_id", "variant")
        self.predictions = new(counter, "predictions", "Predictions answered", *labels)
        self.reloads = new(counter, "reloads", "Lineups that were loaded")
        self.failures = new(counter, "reload_failures", "Attempts that failed")
        self.generation = new(gauge, "generation", "Of the configuration served")
        self.waiting = new(gauge, "unflushed_events", "Events not on disk yet")
        self.flush = new(gauge, "flush_seconds", "Of the last flush of the journal")
        backlog = new(gauge, "spool_files", "Files that wait for nba-ml sync")
        backlog.set_function(lambda: len(spool.pending(home.spool)))
        self.info = new(prometheus.Info, "worker", "What is served")


class Watch:
    """Keeps `lineup` what configuration and features say. Requests take it once."""

    def __init__(self, home: Home, poll: float | None, metrics: Metrics) -> None:
        self.home, self.metrics = home, metrics
        self.poll = poll or (10.0 if home.model_store else 1.0)
        self.lineup: Lineup | None = None
        self.problem, self.loaded_at = "", ""
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self.reload()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(1)  # a bucket out of reach holds nobody up

    def _run(self) -> None:
        while not self._stopped.wait(self.poll):
            self.reload()

    def reload(self) -> None:
        """Load what changed. What cannot be loaded leaves the lineup that is there."""
        with self._lock:
            try:
                found = lineup.load(self.home, self.lineup)
            except Exception as error:
                self._failed(error)
                return
            self.problem = ""
            if found is not self.lineup:
                self.lineup, self.loaded_at = found, settings.present().isoformat()
                self._loaded(found)

    def _failed(self, error: Exception) -> None:
        is_known = isinstance(error, UserError)
        text = error.message if is_known else f"Loading failed: {error!r}"
        if isinstance(error, NoModel):
            self.lineup = None
        if text != self.problem:
            log.error(text, exc_info=None if is_known else error)
        self.problem = text
        self.metrics.failures.inc()

    def _loaded(self, found: Lineup) -> None:
        facts = {"model_id": found.champion.place.model_id}
        facts["features_hash"] = found.champion.pointer.features_hash
        self.metrics.info.info(facts)
        self.metrics.generation.set(found.config.generation)
        self.metrics.reloads.inc()
        log.info("lineup loaded", extra={"facts": facts})
        for problem in found.problems:
            log.error(problem)

    @property
    def model_id(self) -> str | None:
        return self.lineup.champion.place.model_id if self.lineup else None

    async def ask(self, question: Callable[[Lineup], T], is_slow: bool = False) -> T:
        """The answer of one lineup, or UserError. Others need not wait for a slow one.

        A file that is read when it is first needed may have moved meanwhile: then the
        lineup is loaded anew, and asked once more.
        """
        try:
            return await self._ask(question, is_slow)
        except (UnknownPlayer, NotServed, NotReady):
            raise
        except UserError:
            await asyncio.to_thread(self.reload)
            return await self._ask(question, is_slow)

    async def _ask(self, question: Callable[[Lineup], T], is_slow: bool) -> T:
        if (found := self.lineup) is None:
            raise NotReady(self.problem)
        if found.champion.is_loaded and not is_slow:
            return question(found)
        return await asyncio.to_thread(question, found)

    def report(self) -> Report:
        """What GET /model answers."""
        problems = [self.problem] if self.problem else []
        if (found := self.lineup) is None:
            return Report(problems=problems)
        seats = {"production": found.champion, "staging": found.challenger}
        return Report(
            **{
                name: Served.model_validate(
                    asdict(seat.place) | {"is_loaded": seat.is_loaded}
                )
                for name, seat in seats.items()
                if seat
            },
            generation=found.config.generation,
            slate=asdict(found.champion.pointer),
            loaded_at=self.loaded_at,
            problems=[*problems, *found.problems],
        )


class NotLogged(Exception):
    """The journal could not take the rows of an answer."""


class Gate:
    """Around the application: token and size before it, the log behind it.

    Nothing of an answer leaves before its rows are in the journal. When they cannot
    be, it is not given.
    """

    def __init__(
        self, app: ASGIApp, watch: Watch, metrics: Metrics, token: str | None
    ) -> None:
        self.app, self.watch, self.metrics = app, watch, metrics
        self.expected = f"Bearer {token}".encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        route = scope["path"] if scope["path"] in ROUTES else "other"
        exchange = scope["exchange"] = Exchange(route, self.watch.model_id)
        journal: Journal = scope["app"].state.journal

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                mark = (b"x-request-id", exchange.request_id.encode())
                message["headers"] = [*message["headers"], mark]
                try:
                    if route in LOGGED:
                        await journal.write(exchange.events())
                except OSError as error:
                    if not exchange.is_last:
                        raise NotLogged(str(error)) from error
                exchange.is_begun = True
            await send(message)

        try:
            refusal = self._refusal(scope, exchange)
            if not refusal and (content := await _read(scope, receive)) is None:
                refusal = _problem(exchange, 413, TOO_LARGE)

            async def body() -> Message:
                return {"type": "http.request", "body": content}

            await (refusal or self.app)(scope, body, answer)
        except ClientDisconnect:  # before its request was complete
            return
        except Exception as error:
            if exchange.is_begun:
                raise
            status, text = 500, "The worker failed; its log says why."
            if isinstance(error, NotLogged):
                status, text = 503, f"Not logged, so not answered: {error}"
            trace = None if status == 503 else error
            facts = {"request_id": exchange.request_id}
            log.error(text, exc_info=trace, extra={"facts": facts})
            exchange.is_last = True
            await _problem(exchange, status, text)(scope, receive, answer)
        self._note(exchange)

    def _refusal(self, scope: Scope, exchange: Exchange) -> Response | None:
        headers = dict(scope["headers"])
        if self.expected and exchange.route not in PROBES:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self.expected):
                text = "Send the header Authorization: Bearer and the token."
                return _problem(exchange, 401, text)
        if int(headers.get(b"content-length", 0)) > LARGEST:
            return _problem(exchange, 413, TOO_LARGE)
        return None

    def _note(self, exchange: Exchange) -> None:
        route, status, seconds = exchange.route, exchange.status, exchange.seconds
        self.metrics.requests.labels(route, status).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if status == 200:
            for row in exchange.answers:
                self.metrics.predictions.labels(row["model_id"], row["variant"]).inc()
        facts = {"request_id": exchange.request_id, "route": route, "status": status}
        facts |= {"latency_ms": round(seconds * 1000, 3)}
        log.info("answered", extra={"facts": facts})


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The body; None when it is too large."""
    content = b""
    async for part in Request(scope, receive).stream():
        content += part
        if len(content) > LARGEST:
            return None
    return content


def create_app(
    home: Home, token: str | None = None, poll: float | None = None
) -> FastAPI:
    """The application. Without `token` everybody may ask."""
    sink = _sink(home)
    metrics = Metrics(home)
    watch = Watch(home, poll, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.journal = journal = Journal(sink)
        metrics.waiting.set_function(lambda: journal.waiting)
        metrics.flush.set_function(lambda: journal.seconds)
        await asyncio.to_thread(watch.start)
        gc.freeze()  # no collection walks through libraries and model
        yield
        gc.unfreeze()
        await asyncio.to_thread(journal.close)
        watch.stop()

    app = FastAPI(
        title="nba-ml",
        description="Points of NBA players in the next slate.",
        version=version("nba-ml"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Gate, watch=watch, metrics=metrics, token=token)
    refusals = (401, 413) if token else (413,)
    private: dict[str, Any] = {"responses": _problems(*refusals)}
    if token:
        private["dependencies"] = [Depends(HTTPBearer(auto_error=False))]
    asked = private | {"responses": _problems(*refusals, 404, 422, 503)}
    text: dict[int | str, Any] = {200: {"content": {"text/plain": {}}}}
    shown = private | {"responses": text | _problems(*refusals)}

    @app.post("/predict", response_model=Prediction, **asked)
    async def predict(body: PlayerAsked, request: Request) -> Response:
        """The points of one player."""
        exchange: Exchange = request.scope["exchange"]
        players = [(body.player_lookup, body.game_id)]

        def answer(found: Lineup) -> Row:
            [row] = exchange.ask(found, players, body.game_date, body.contributions)
            return _shown(row)

        return _json(await watch.ask(answer, body.contributions))

    @app.post("/predict/slate", response_model=Slate, **asked)
    async def predict_slate(body: SlateAsked, request: Request) -> Response:
        """The points of some players of the slate, or of all."""
        exchange: Exchange = request.scope["exchange"]

        def answer(found: Lineup) -> Row:
            players, skipped = _expected(found.champion.scorer, body.players)
            rows = exchange.ask(found, players, body.game_date, body.contributions)
            pointer = found.champion.pointer
            return {
                "request_id": exchange.request_id,
                "game_date": pointer.game_date,
                "features_hash": pointer.features_hash,
                "skipped": skipped,
                "predictions": [_shown(row) for row in rows],
            }

        return _json(await watch.ask(answer, body.contributions))

    @app.get("/healthz", response_model=Health, responses=_problems(413, 503))
    async def healthz() -> Response:
        """Whether a real row can be scored. It is not logged."""

        def answer(found: Lineup) -> Row:
            [row] = found.champion.scorer.score([0], "production", "health")
            return {"model_id": row["model_id"]}

        return _json(await watch.ask(answer))

    @app.get("/readyz", response_model=Health, responses=_problems(413, 503))
    async def readyz() -> Response:
        """Whether there is a model with features to ask."""
        if watch.lineup is None:
            raise NotReady(watch.problem)
        return _json({"model_id": watch.model_id})

    @app.get("/model", **private)
    async def model() -> Report:
        """What is served, and what should be and is not."""
        return watch.report()

    @app.get("/metrics", response_class=Response, **shown)
    async def show_metrics() -> Response:
        """For Prometheus."""
        content = prometheus.generate_latest(metrics.registry)
        return Response(content, media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.exception_handler(UserError)
    async def refuse(request: Request, error: UserError) -> Response:
        is_absent = isinstance(error, (UnknownPlayer, NotServed))
        exchange: Exchange = request.scope["exchange"]
        return _problem(exchange, 404 if is_absent else 503, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors()[:3]
        ]
        return _problem(request.scope["exchange"], 422, "; ".join(found))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        # 400: a body that is no JSON at all, as if it were JSON of another form
        status = 422 if error.status_code == 400 else error.status_code
        text = f"{error.detail}. GET /openapi.json lists what there is."
        answer = _problem(request.scope["exchange"], status, text)
        answer.headers.update(error.headers or {})
        return answer

    return app


def serve(
    home: Home, host: str = "127.0.0.1", port: int = 8000, poll: float | None = None
) -> None:
    """Serve until SIGTERM; what runs is finished, and the journal closed.

    Raises UserError when others could ask without a token.
    """
    settings.clock()  # refused now, not at the first request
    token = settings.token()
    if not token and not _is_loopback(host):
        raise UserError(
            f"{host} can be reached by others, and NBA_ML_TOKEN is not set. "
            "Set it to a long random text, or serve on 127.0.0.1."
        )
    handler = logging.StreamHandler()  # stderr: stdout may be the journal
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # uvicorn raises again the signal that ended it: that is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(home, token, poll),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=8,  # Cloud Run kills after 10
    )


class JsonLines(logging.Formatter):
    """Each record as one line of JSON, as log collectors read it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"severity": record.levelname, "message": record.getMessage()}
        line |= {"time": f"{settings.present().isoformat()}Z"}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _sink(home: Home) -> Segment | Stdout:
    kind = settings.journal()
    if kind not in ("spool", "stdout"):
        raise UserError(f"NBA_ML_JOURNAL is {kind!r}. Write spool or stdout.")
    return Stdout() if kind == "stdout" else Segment(home.spool)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem} for status in statuses}


def _expected(
    scorer: Scorer, names: Iterable[str] | None
) -> tuple[list[Asked], list[Row]]:
    """Who of `names`, by default of the slate, can be scored; who not, and why."""
    wanted: Iterable[Asked] = map(scorer.key, range(len(scorer.snapshot.rows)))
    if names:
        wanted = [(name, None) for name in dict.fromkeys(names)]
    players, skipped = [], []
    for player in wanted:
        try:
            scorer.position(*player)
            players.append(player)
        except UnknownPlayer as error:
            skipped.append({"player_lookup": player[0], "reason": error.message})
    return players, skipped


def _shown(row: Row) -> Row:
    return {name: row[name] for name in Prediction.model_fields if name in row}


def _problem(exchange: Exchange, status: int, error: str) -> Response:
    """An answer that is none: why, in a sentence."""
    content = {"error": error, "request_id": exchange.request_id}
    headers = {401: {"www-authenticate": "Bearer"}, 413: {"connection": "close"}}
    return _json(content, status, headers.get(status))


def _json(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    # the models describe it, and a test compares: checking 300 rows costs too much here
    text = json.dumps(content, allow_nan=False)
    return Response(text, status, headers, "application/json")
