"""Retraining: a clock asks, retraining_triggers decides, a challenger comes of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from nba_ml import deployment, registry, serving, spool, training
from nba_ml.deployment import Occupied, Plan, Say
from nba_ml.probe import Probe
from nba_ml.settings import Home, UserError, clock
from nba_ml.store import Busy, alone
from nba_ml.warehouse import connect

LOCK = "retraining.running"
SILENT = timedelta(hours=6)  # after which a run in the cloud counts as dead
BUSY = (
    "Another retraining is running. Wait for it; should it have died in the cloud, its "
    "lock ends after 6 hours."
)


class Refused(UserError):
    """The tables are not what a model should learn from."""


@dataclass
class Run:
    """A run of retraining, as it is recorded in retraining_runs."""

    trigger: str = "by_hand"
    outcome: str = "failed"
    model_id: str | None = None
    explanation: str = "It was interrupted."
    started_at: datetime = field(default_factory=clock)
    untold: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether nobody need look after it."""
        return self.outcome in ("registered", "not_due") and not self.untold


def retrain(
    home: Home,
    config: training.Config,
    if_due: bool = False,
    tell: Say | None = None,
    probe: Probe | None = None,
    say: Say = lambda line: None,
) -> Run:
    """Train a model and put it into the shadow; with `if_due` only when it is time.

    It is never promoted. Every run is recorded, and told unless it had nothing to do;
    one that was killed is recorded by the next, which does its work. What a person can
    repair is no exception: the run says it.
    """
    run = Run()
    try:
        with alone(serving.open_serving(home), LOCK, SILENT, BUSY) as lock:
            if lock.is_inherited:
                _end(home, Run(explanation="It died; the next run does its work."))
            try:
                run.outcome, run.explanation = _work(
                    home, config, if_due, run, probe, say
                )
            except Exception as error:
                run.outcome = "refused" if isinstance(error, Refused) else "failed"
                run.explanation = getattr(error, "message", "") or repr(error)
                if not isinstance(error, UserError):
                    raise
            finally:
                _end(home, run, tell)
    except Busy as error:
        run.outcome, run.explanation = "refused", error.message
        _end(home, run, tell)
    return run


def _work(
    home: Home,
    config: training.Config,
    if_due: bool,
    run: Run,
    probe: Probe | None,
    say: Say,
) -> tuple[str, str]:
    """The steps: outcome and explanation; `run` has what is known before."""
    spool.sync(home)
    _refuse_old_tables(home)
    due = _due(home, config)
    for evidence in due.values():
        say(evidence)
    if if_due and not due:
        return "not_due", "No trigger asks for a model."
    run.trigger = ",".join(due) or run.trigger
    obstacles = connect(home).read("select explanation from retraining_obstacles")
    if len(obstacles):
        raise Refused(" ".join(sorted(obstacles["explanation"])))
    trained = training.train(home, config, if_changed=True)
    model_id = run.model_id = trained.model_id
    if not trained.is_synced:
        raise UserError(
            " ".join([f"{model_id} is not registered yet.", *trained.notes])
        )
    models = {model["model_id"]: model for model in registry.read_models(home)}
    model, version = models[model_id], trained.manifest.model_version
    is_placed = model["status"] in ("production", "retired")
    if not trained.is_new and (is_placed or model["mode"] == "split"):
        return "not_due", f"Nothing changed since {model_id} ({model['status']})."
    if broken := deployment.read_gates(home, model_id)[1]:
        text = "\n".join([f"{model_id} may not be promoted:", *broken])
        return "gates_failed", text
    next_step = f"No model is in production. Next: nba-ml deploy {version}"
    if any(one["status"] == "production" for one in models.values()):
        try:
            deployment.deploy(home, version, Plan(role="challenger"), probe, say)
            next_step = f"It is in the shadow. To promote it: nba-ml deploy {version}"
        except Occupied as error:
            next_step = f"It is not in the shadow: {error.message}"
    text = f"{model_id} is registered, and its gates hold. {next_step}"
    return "registered", text


def _refuse_old_tables(home: Home) -> None:
    found = connect(home).read(
        "select as_of, limit_value from build_info cross join retraining_limits"
        " where limit_name = 'tables_age'"
    )
    [(as_of, limit)] = found.itertuples(index=False)
    hours = (clock() - as_of) / timedelta(hours=1)
    if hours > limit:
        raise Refused(
            f"The tables are {hours:.0f} hours old, and {limit} are the limit. "
            "Run: dbt build"
        )


def _due(home: Home, config: training.Config) -> dict[str, str]:
    """Evidence of each trigger that a model of `config` would satisfy."""
    found = connect(home).read(
        "select trigger, evidence from retraining_triggers where is_due"
    )
    due = dict(sorted(found.itertuples(index=False, name=None)))
    models = registry.registered(home)
    if models and models[-1].candidate.feature_version == config.feature_version:
        due.pop("feature_version", None)  # it would be due again, day after day
    return due


def _end(home: Home, run: Run, tell: Say | None = None) -> None:
    """Record the run, then tell: a kill in between leaves the lock to the next run."""
    row = asdict(run) | {
        "event_id": str(uuid4()),
        "started_at": run.started_at.isoformat(),
        "finished_at": clock().isoformat(),
        "event_sequence": time.time_ns(),
    }
    del row["untold"]  # nothing was told yet
    spool.record(home, "retraining_runs", [row])
    if tell and run.outcome != "not_due":
        try:
            tell(f"Retraining ({run.trigger}): {run.outcome}. {run.explanation}")
        except UserError as error:
            run.untold = error.message
