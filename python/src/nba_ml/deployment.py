"""Deployment: a registered model becomes what serves, or a sentence says why not.

The registry decides, by its events; configuration and files follow (`align`). So a
deployment that was killed anywhere is finished, or taken back, by the next command.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, NoReturn

import pandas as pd

from nba_ml import artefact, publishing, registry, serving, spool
from nba_ml.probe import InProcess, Probe, Seen
from nba_ml.registry import Model
from nba_ml.scoring import Scorer
from nba_ml.serving import ProductionModel, StagingModel
from nba_ml.settings import Home, UserError, clock
from nba_ml.spool import Event
from nba_ml.store import Held, Missing, Store, alone, open_store, resolve
from nba_ml.warehouse import WarehouseUnavailable, connect

SIZES = 1_000, 200_000_000  # bytes of a model file
CLAMPED = 0.05  # share of predictions at 0 or 60, above which the clamp hides nonsense
LOCK = "deploying.lock"
SILENT = timedelta(minutes=10)  # after which a deployer in the cloud counts as dead
TICK = 60.0  # seconds between two looks of the watch

Say = Callable[[str], None]


class Degraded(UserError):
    """The watch saw a limit broken, and the model before is in production again."""


class Occupied(UserError):
    """Another model is the challenger, and was meant to be."""


class Died(NamedTuple):
    """The last deployment or rollback, when it has no end: of which model."""

    command: str
    model_id: str


@dataclass(frozen=True)
class Plan:
    """How to deploy.

    A `challenger` stays beside the production model: in `shadow` mode it answers
    nobody, in `split` mode the share `traffic_split` of the players. `force` is the
    reason to pass over gates that do not hold. `watch` is how many seconds to watch
    after the promotion, `patience` how many to wait for a worker.
    """

    role: Literal["production", "challenger"] = "production"
    mode: Literal["shadow", "split"] = "shadow"
    traffic_split: float = 0.0
    load_strategy: Literal["eager", "lazy"] = "eager"
    force: str | None = None
    watch: float = 3600.0
    patience: float = 60.0


@dataclass(frozen=True)
class Deployed:
    """What a deployment or rollback came to."""

    model_id: str
    status: str
    live_model_id: str | None
    generation: int


def deploy(
    home: Home,
    version: str,
    plan: Plan,
    probe: Probe | None = None,
    say: Say = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Deployed:
    """Take a registered model through all steps, each recorded in model_events.

    `version` is such as 1.1.0, or `latest`. Repeated after a kill, it goes on where it
    was. Raises Degraded after a rollback, else UserError, which says what serves.
    """
    with _alone(home) as lock:
        run = _Run(home, plan, probe or InProcess(home), say, sleep, lock.beat)
        return run.deploy(version)


def rollback(
    home: Home,
    model_id: str | None = None,
    reason: str = "by hand",
    probe: Probe | None = None,
    say: Say = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Deployed:
    """Put `model_id` into production again, by default the one before.

    For the model in production itself only configuration and files are set right; a
    challenger is withdrawn. Raises UserError with what serves unchanged.
    """
    with _alone(home) as lock:
        run = _Run(home, Plan(), probe or InProcess(home), say, sleep, lock.beat)
        return run.rollback(model_id, reason)


def align(home: Home) -> serving.ServingConfig:
    """Make configuration and files what the registry says; safe to repeat.

    Files leave their old folder only after the configuration names the new one.
    """
    models = registry.read_models(home)
    config = serving.write_config(serving.open_serving(home), *_served(models))
    store = open_store(home)
    names = store.names()
    for model in models:
        place, kept = resolve(home, model["gcs_path"])
        if place.uri(kept) == store.uri(kept):
            others = _files(names, model["model_id"])
            others = [name for name in others if _folder(name) != _folder(kept)]
            if kept not in names:  # somebody moved it: bring it back
                for name in others:
                    back = f"{_folder(kept)}/{_file(name)}"
                    serving.overwrite(store, back, store.read(name)[0])
            for name in others:
                store.delete(name)
    return config


def differences(home: Home) -> list[str]:
    """Where registry, configuration and files disagree; each with what to do."""
    models = registry.read_models(home)
    store, cure = serving.open_serving(home), "Set it right: nba-ml rollback MODEL_ID"
    try:
        config, _ = serving.read_config(store)
    except UserError as error:
        return [error.message]
    found = [
        f"{len(several)} models are {status}: {', '.join(several)}."
        for status in ("production", "staging")
        if len(several := [m["model_id"] for m in models if m["status"] == status]) > 1
    ]
    now = (config.production_model, config.staging_model)
    for role, serves, meant in zip(
        ("production", "staging"), now, _served(models), strict=True
    ):
        if serves != meant:
            says, wants = (one.model_id if one else "none" for one in (serves, meant))
            found.append(
                f"{store.uri(serving.CONFIG)} has {role} model {says}, and the registry"
                f" {wants}{'' if says != wants else ', with other settings'}. {cure}"
            )
        elif meant:
            place, name = resolve(home, meant.gcs_path)
            try:
                content, _ = place.read(name)
            except Missing as error:
                found.append(f"{role} model {meant.model_id}: {error.message}")
                continue
            if hashlib.sha256(content).hexdigest() != meant.sha256:
                found.append(
                    f"{place.uri(name)} is not the file that was registered. Restore "
                    "it, or serve another: nba-ml rollback MODEL_ID"
                )
    return found


def read_gates(home: Home, model_id: str) -> tuple[int, list[str]]:
    """How many gates a model has, and those that do not hold, each in a sentence."""
    gates = connect(home).read(
        "select * from model_gates where model_id = ? order by gate, population",
        [model_id],
    )
    broken = gates[~gates["has_passed"].fillna(False).astype(bool)]
    return len(gates), [f"{g.gate}: {g.explanation}" for g in broken.itertuples()]


def _served(
    models: Sequence[Model],
) -> tuple[ProductionModel | None, StagingModel | None]:
    """What the configuration has to say."""
    production = staging = None
    for model in models:
        file = (model["model_id"], model["gcs_path"], model["artifact_sha256"])
        if model["status"] == "production":
            production = ProductionModel(*file, model["load_strategy"])
        if model["status"] == "staging":
            staging = StagingModel(*file, model["traffic_split"], model["mode"])
    return production, staging


def _files(names: Sequence[str], model_id: str) -> list[str]:
    return [n for n in names if _file(n).startswith(f"{model_id}.")]


def _folder(name: str) -> str:
    return PurePosixPath(name).parts[0]


def _file(name: str) -> str:
    return PurePosixPath(name).name


def _copy(home: Home, model: Model, folder: str) -> str:
    """Copy a model's files to `folder` of the store; what its gcs_path will be."""
    source, name = resolve(home, model["gcs_path"])
    store: Store = open_store(home)
    for found in _files(source.names(), model["model_id"]):
        target = f"{folder}/{_file(found)}"
        is_there = source.uri(found) == store.uri(target)
        if is_there or _folder(found) != _folder(name):
            continue
        serving.overwrite(store, target, source.read(found)[0])
    target = f"{folder}/{_file(name)}"
    return store.uri(target).removeprefix(f"{home.models}/")


def _alone(home: Home) -> AbstractContextManager[Held]:
    """Hold the lock of deployments."""
    return alone(
        serving.open_serving(home),
        LOCK,
        SILENT,
        "Another deployment or rollback is running. Wait for it; should it have died "
        "in the cloud, its lock ends 10 minutes after its last step.",
    )


@dataclass
class _Run:
    """One deployment or rollback, under the lock."""

    home: Home
    plan: Plan
    probe: Probe
    say: Say
    sleep: Callable[[float], None]
    beat: Callable[[], None]

    # of which model, and by which command, the steps are
    subject: str = ""
    command: str = ""

    # the commands

    def deploy(self, version: str) -> Deployed:
        self.command = "deploy"
        if died := self._died():
            align(self.home)
        elif found := differences(self.home):
            raise UserError(
                "Registry and serving are out of step:\n" + "\n".join(found)
            )
        model = self._find(version)
        model_id, status = model["model_id"], model["status"]
        if self.plan.role == "challenger" and self._in("production") is None:
            raise UserError(f"No model is in production for {model_id} to challenge.")
        if status == "retired":
            self._never_in_production(model)
            raise UserError(
                f"{model_id} is retired, and only a rollback brings it back: "
                f"nba-ml rollback {model_id}"
            )
        if status == "production" and died != ("deploy", model_id):
            self.say(f"{model_id} is in production already.")
            return self._done(model_id)
        self.probe.look()  # one that does not answer is found now, not half way
        self._begin(model_id, self.plan.role)
        try:
            players = self._check(model)
        except UserError as error:
            self._finish(f"refused: {error.message}")
            raise
        if status != "production":
            self._stage(model)
            self._smoke_test(model, players)
            if self.plan.role == "challenger":
                self._challenge(model)
                return self._finish("challenger beside the production model")
            self._promote(self._find(model_id))
        self._watch(self._find(model_id), players)
        return self._finish("in production")

    def rollback(self, model_id: str | None, reason: str) -> Deployed:
        self.command = "rollback"
        died = self._died()
        if died:
            align(self.home)
        live, staged = self._in("production"), self._in("staging")
        target = self._find(model_id) if model_id else None
        if died and staged and not staged["is_challenger"]:
            # the rest of a deployment: all that is to be taken back, or in the way
            if target is None or target["model_id"] == staged["model_id"]:
                self._begin(staged["model_id"], f"withdraw, {reason}")
                self._withdraw(staged, reason)
                return self._finish(f"withdrawn, {reason}")
            self._withdraw(staged, "its deployment died")
        elif died and target is None:
            is_live = live is not None and live["model_id"] == died.model_id
            if is_live == (died.command == "rollback"):
                self.subject = died.model_id  # all but its end had happened
                return self._finish("nothing was left to take back; repeat to go on")
            if died.command == "rollback":
                target = self._find(died.model_id)
        target = target or self._previous(live)
        if target is None:
            raise UserError(
                "No earlier production model is known to be good. Name one of: nba-ml "
                "status"
            )
        self._never_in_production(target)
        self._begin(target["model_id"], f"rollback, {reason}")
        if target["status"] == "staging":
            self._withdraw(target, reason)
        elif target["status"] == "retired":
            self._restore(target, live, reason)
        align(self.home)
        if found := differences(self.home):
            raise UserError("Still out of step:\n" + "\n".join(found))
        return self._finish(f"done, {reason}")

    # the steps

    def _begin(self, model_id: str, text: str) -> None:
        self.subject = model_id
        self._step("begin", f"{model_id}, {text}")

    def _check(self, model: Model) -> list[str]:
        """Steps 1 and 2, which change nothing; the players of the slate."""
        features = publishing.publish(self.home, model["feature_version"])
        scorer = self._validate_file(model, features)
        if not scorer.in_scope:
            self._refuse("nobody of the slate has games enough for it")
        if model["status"] != "production":
            self._make_room(model["model_id"])
            self._check_gates(model, scorer)
        return [scorer.key(i)[0] for i in scorer.in_scope]

    def _validate_file(self, model: Model, features: serving.Snapshot) -> Scorer:
        store, name = resolve(self.home, model["gcs_path"])
        content, _ = store.read(name)
        if not SIZES[0] <= len(content) <= SIZES[1]:
            self._refuse(
                f"{store.uri(name)} has {len(content):,} bytes, not 1 kB to 200 MB.",
            )
        try:
            loaded = artefact.load(
                store, name, features.features, model["artifact_sha256"]
            )
        except UserError as error:
            self._refuse(error.message)
        self._step(
            "validate file",
            f"{len(content):,} bytes, sha256 {model['artifact_sha256'][:12]}, loads",
        )
        return Scorer(loaded, features)

    def _check_gates(self, model: Model, scorer: Scorer) -> None:
        points = [
            row["predicted_points"]
            for row in scorer.score(scorer.in_scope, "candidate", "check")
        ]
        if problem := _implausible(points):
            self._refuse(problem)
        count, reasons = read_gates(self.home, model["model_id"])
        if not count:
            self._refuse("it has no gates. Run: dbt build -s deployment_gates+")
        if reasons and not self.plan.force:
            self._refuse(
                "\n".join([f"{len(reasons)} gates do not hold:", *reasons])
                + '\nIf there is a reason to deploy all the same: --force "the reason"',
            )
        text = f"{count - len(reasons)} of {count} hold"
        text += f", {len(points)} predictions, {min(points):.1f} to {max(points):.1f}"
        if reasons:
            text = "\n".join([f"{text}; passed over: {self.plan.force}", *reasons])
        self._step("check gates", text)

    def _stage(self, model: Model) -> None:
        model_id = model["model_id"]
        details = {"mode": "shadow", "traffic_split": 0.0}
        staged = self._move("staged", model, "staging", **details)
        self._step("upload", staged.row["gcs_path"])
        self._change([staged])
        self._step(
            "write configuration", f"generation {self._done(model_id).generation}"
        )
        is_first = self._in("production") is None
        if not is_first and (problem := self._missing(model, "staging")):
            self._later(problem)

    def _challenge(self, model: Model) -> None:
        """After the smoke tests, answers of a challenger may reach users."""
        share = self.plan.traffic_split
        if self.plan.mode == "split":
            staged = self._find(model["model_id"])
            details = {"mode": "split", "traffic_split": share}
            self._change([self._move("staged", staged, "staging", **details)])
        self._step("challenge", f"answers {share:.0%} of the players")

    def _smoke_test(self, model: Model, players: list[str]) -> None:
        model_id = model["model_id"]
        if self._in("production") is None:
            return self._step("smoke tests", "nothing serves yet to test it in")
        answers = self.probe.ask(players)
        if len(answers) < len(players):
            failed = len(players) - len(answers)
            self._later(f"{failed} of {len(players)} requests failed")
        if not self._is_logged(model_id, answers[-1]["request_id"]):
            self._later("None of its predictions reached the log")
        problem = _implausible([answer["predicted_points"] for answer in answers])
        if found := self._mismatches(model_id):
            problem = f"{found} served features differ from the store's"
        if problem:
            self._withdraw(model, problem)
            self._finish(f"refused: {problem}")
            self._refuse(problem)
        text = f"{len(answers)} requests answered, in the shadow by {model_id}, too"
        self._step("smoke tests", f"{text}; logged, features as stored")

    def _promote(self, model: Model) -> None:
        model_id, live = model["model_id"], self._in("production")
        changes = []
        if live:
            changes = [self._move("retired", live, "archive", replaced_by=model_id)]
        details = {"load_strategy": self.plan.load_strategy}
        changes += [self._move("promoted", model, "production", **details)]
        self._change(changes)
        self._step("promote", f"generation {self._done(model_id).generation}")

    def _watch(self, model: Model, players: list[str]) -> None:
        """Roll back when a limit of deployment_watch is broken."""
        watched, rounds = 0.0, 0
        if problem := self._missing(model, "production"):
            self._degraded(model, [problem])
        while True:
            self.beat()
            checks = self._checks(model["model_id"])
            broken = checks[checks["has_passed"].eq(False).fillna(False)]
            if len(broken):
                self._degraded(model, list(broken["explanation"]))
            is_undecided = bool(checks["has_passed"].isna().any()) or checks.empty
            enough = max(checks["min_rows"], default=0) / len(players) + 1
            if is_undecided and rounds < enough:
                # without traffic the slate is replayed
                rounds += 1
                if not self._ask(players):
                    self._degraded(model, ["No request of the slate was answered."])
            elif watched < self.plan.watch:
                self.sleep(pause := min(TICK, self.plan.watch - watched))
                watched += pause
            else:
                break
        text = "\n".join([f"{watched:.0f} seconds", *checks["explanation"]])
        if is_undecided:  # who could not see what happened is not done
            raise UserError(
                f"The watch could not decide, and {model['model_id']} serves: {text}\n"
                f"Repeat it: nba-ml deploy {model['model_version']}"
            )
        self._step("watch", text)

    def _ask(self, players: list[str]) -> list[dict[str, Any]]:
        try:
            return self.probe.ask(players)
        except UserError as error:
            self.say(error.message)
            return []

    def _degraded(self, model: Model, broken: list[str]) -> None:
        model_id, reason = model["model_id"], " ".join(broken)
        self._step("watch", f"degraded: {reason}")
        previous = self._previous(model)
        try:
            self._restore(previous, model, f"rolled back: {reason}")
        except WarehouseUnavailable:
            raise
        except UserError as error:
            raise Degraded(
                f"{model_id} is degraded and still serves, since what was before does "
                f"not load. {reason}\n{error.message}\n"
                "Name another: nba-ml rollback MODEL_ID"
            ) from error
        back = previous["model_id"] if previous else "no model, there was none before"
        self._finish(f"rolled back to {back}")
        raise Degraded(f"{model_id} was rolled back to {back}. {reason}")

    def _restore(self, target: Model | None, live: Model | None, reason: str) -> None:
        """The one in production goes, `target` comes back."""
        changes = []
        if target:
            features = self._snapshot(target["feature_version"])
            place = resolve(self.home, target["gcs_path"])
            artefact.load(*place, features.features, target["artifact_sha256"])
        if live:
            changes = [self._move("retired", live, "archive", reason=reason)]
        if target:
            changes += [self._move("rolled_back", target, "production")]
        self._change(changes)
        if target:
            self._step("roll back", reason)
            if problem := self._missing(target, "production"):
                self.say(problem)

    def _snapshot(self, version: str) -> serving.Snapshot:
        """The next slate; between seasons, what is published."""
        try:
            return publishing.publish(self.home, version)
        except WarehouseUnavailable:
            raise
        except UserError:
            store = serving.open_serving(self.home)
            return serving.read_snapshot(store, serving.read_pointer(store, version))

    def _withdraw(self, model: Model, reason: str) -> None:
        self._change([self._move("retired", model, "archive", reason=reason)])

    def _make_room(self, model_id: str) -> None:
        """Another challenger goes, when it is the rest of a deployment that died."""
        other = self._in("staging")
        if other is None or other["model_id"] == model_id:
            return
        if other["is_challenger"]:
            raise Occupied(
                f"{other['model_id']} is the challenger. Withdraw it first: nba-ml "
                f"rollback {other['model_id']}"
            )
        self._withdraw(other, f"its deployment died; then came {model_id}")
        self.say(f"{other['model_id']} withdrawn: its deployment died.")

    # what the steps share

    def _died(self) -> Died | None:
        """The last deployment or rollback, when it has no end; all events are in."""
        self._sync()
        events = connect(self.home).read(
            "select event_type, event_at, model_id, details from model_events"
            " order by event_at desc, event_sequence desc"
        )
        if len(events) and clock() < (last := events["event_at"].iloc[0]):
            raise UserError(
                f"The clock says {clock()}, and the registry's last event is of "
                f"{last}: what serves since when could not be told. Unset "
                "NBA_ML_AS_OF, or set it later."
            )
        steps = events[events["event_type"] == "deploy_step"]
        for step in steps.head(1).itertuples():
            details = json.loads(str(step.details))
            if details["step"] != "finish":
                return Died(details["command"], str(step.model_id))
        return None

    def _never_in_production(self, model: Model) -> None:
        """Refuse what a rollback cannot bring back. Raises UserError."""
        model_id = model["model_id"]
        if model["status"] == "training":
            raise UserError(
                f"{model_id} was never in production: nba-ml deploy {model_id}"
            )
        if model["status"] == "retired" and pd.isna(model["deployed_at"]):
            raise UserError(
                f"{model_id} was withdrawn and never in production. Train it again: "
                "nba-ml train --force"
            )

    def _find(self, version: str) -> Model:
        models = registry.read_models(self.home)
        kept = [model for model in models if model["status"] != "retired"]
        if version == "latest" and kept:
            return kept[-1]
        return registry.choose(self.home, version)

    def _in(self, status: str) -> Model | None:
        models = registry.read_models(self.home)
        return next((model for model in models if model["status"] == status), None)

    def _previous(self, live: Model | None) -> Model | None:
        """The last one in production before that was not itself rolled back."""
        live_id = live["model_id"] if live else None
        good = [
            model
            for model in registry.read_models(self.home)
            if model["model_id"] != live_id and not pd.isna(model["rollback_order"])
        ]
        return min(good, key=lambda model: model["rollback_order"], default=None)

    def _missing(self, model: Model, role: str) -> str | None:
        """Wait until the model serves in its role; what is wrong when it does not."""
        waited, meant = 0.0, (model["model_id"], model["artifact_sha256"])
        while True:
            try:
                seen = self.probe.look()
            except UserError as error:
                seen = Seen(problems=[error.message])
            if getattr(seen, role) == meant:
                return None
            if waited >= self.plan.patience or isinstance(self.probe, InProcess):
                reasons = "; ".join(seen.problems) or "another one does"
                return f"{model['model_id']} does not serve as {role} model: {reasons}"
            self.sleep(0.5)
            waited += 0.5

    def _is_logged(self, model_id: str, request_id: str) -> bool:
        """Whether a model's prediction for a request is in the log; waits for it."""
        waited = 0.0
        while True:
            self._sync()
            found = connect(self.home).read(
                "select prediction_id from prediction_log"
                " where request_id = ? and model_id = ?",
                [request_id, model_id],
            )
            if len(found) or waited >= self.plan.patience:
                return bool(len(found))
            self.sleep(1.0)
            waited += 1.0

    def _mismatches(self, model_id: str) -> int:
        sql = "select count(*) as n from parity_mismatches where model_id = ?"
        return int(connect(self.home).read(sql, [model_id])["n"].iloc[0])

    def _checks(self, model_id: str) -> pd.DataFrame:
        """What deployment_watch says; nothing while the warehouse is out of reach."""
        try:
            self._sync()
            return connect(self.home).read(
                "select * from deployment_watch where model_id = ?", [model_id]
            )
        except WarehouseUnavailable as error:
            self.say(error.message)
            return pd.DataFrame(columns=["has_passed", "min_rows", "explanation"])

    def _move(self, kind: str, model: Model, folder: str, **details: Any) -> Event:
        """Copy a model's files to `folder`; the event that makes it their place."""
        if self.plan.force:
            details["force"] = self.plan.force
        return registry.model_event(
            kind,
            model["model_id"],
            gcs_path=_copy(self.home, model, folder),
            details=registry.canonical(details),
        )

    def _change(self, events: list[Event]) -> None:
        """Change the registry, then what follows from it."""
        self.beat()
        spool.write(self.home.spool, events)
        self._sync()
        align(self.home)

    def _sync(self) -> None:
        if problems := spool.sync(self.home).problems:
            raise UserError("\n".join(problems))

    def _step(self, step: str, text: str) -> None:
        self.beat()
        facts = {"command": self.command, "step": step, "text": text}
        details = registry.canonical(facts)
        event = registry.model_event("deploy_step", self.subject, details=details)
        spool.write(self.home.spool, [event])
        self.say(f"{step + ':':<21}" + text.replace("\n", "\n" + " " * 21))

    def _refuse(self, problem: str) -> NoReturn:
        raise UserError(f"{self.subject} is not deployed: {problem}")

    def _later(self, problem: str) -> NoReturn:
        version = self.subject.split("_v")[-1]
        raise UserError(
            f"{problem}. Nothing else changed. When that is repaired: nba-ml deploy "
            f"{version}; to give it up: nba-ml rollback {self.subject}"
        )

    def _finish(self, text: str) -> Deployed:
        self._step("finish", text)
        self._sync()
        return self._done(self.subject)

    def _done(self, model_id: str) -> Deployed:
        config, _ = serving.read_config(serving.open_serving(self.home))
        live = config.production_model
        return Deployed(
            model_id,
            self._find(model_id)["status"],
            live.model_id if live else None,
            config.generation,
        )


def _implausible(points: Sequence[float]) -> str | None:
    """What no model of points predicts for a slate; None when there is nothing."""
    low, high = min(points), max(points)
    clamped = sum(point in artefact.POINTS for point in points) / len(points)
    if clamped > CLAMPED:
        return (
            f"{clamped:.0%} of its predictions are outside of 0 to 60 points and were "
            f"clamped, more than {CLAMPED:.0%}"
        )
    if len(points) > 1 and high - low < 1e-6:
        return f"it predicts {low:.1f} points for everybody"
    return None
