"""A fire drill: the life of a deployment on a fake clock, in a folder of its own.

Run it as `make drill`. It deploys a first model, a better one after an A/B test, and a
degraded one past its gates, which the watch rolls back. It ends with an error when
anything else happens than what it announces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from nba_ml import deployment, lineup, serving, settings, training
from nba_ml.deployment import Degraded, Plan
from nba_ml.settings import PROJECT, Home, UserError
from nba_simulator import league

CONFIG = PROJECT / "python/config/training.yml"
FIRST, BETTER, BROKEN = "xgboost_v1.0.0", "xgboost_v2.0.0", "xgboost_v2.1.0"
# the features that each learns from, and its trees at most: few and fast ones
MODELS = {FIRST: ("v1", 60), BETTER: ("v2", 240), BROKEN: ("v2", 1)}
RATE = 0.05


def say(line: str) -> None:
    print(f"{settings.clock():%H:%M}  {line}", flush=True)


def announce(title: str) -> None:
    print(f"\n{title}", flush=True)


def sleep(seconds: float) -> None:
    """Move the clock; nobody waits."""
    moment = settings.clock() + timedelta(seconds=seconds)
    os.environ["NBA_ML_AS_OF"] = moment.isoformat()


def build(home: Home) -> None:
    """A simulated league, and its feature store at noon of its last day."""
    league.simulate(home.raw)
    os.environ["NBA_ML_HOME"] = str(home.root)
    os.environ["NBA_ML_AS_OF"] = (home.raw / "as_of").read_text().strip()
    command = [str(Path(sys.executable).with_name("dbt")), "--quiet", "build"]
    command += ["--exclude-resource-type", "test", "unit_test"]
    command += ["--target-path", str(home.root / "target")]
    command += ["--log-path", str(home.root / "logs")]
    subprocess.run(command, cwd=PROJECT, check=True)


def deploy(home: Home, model_id: str, **plan: Any) -> None:
    """Deploy as `nba-ml deploy` does, but on the fake clock."""
    deployment.deploy(home, model_id, Plan(**plan), say=say, sleep=sleep)


def live(home: Home) -> str:
    """The model that a worker serves now."""
    place = serving.read_config(serving.open_serving(home))[0].production_model
    assert place and lineup.load(home).champion.place == place
    assert not deployment.differences(home), deployment.differences(home)
    return place.model_id


def expect(home: Home, model_id: str) -> None:
    found = live(home)
    if found != model_id:
        raise SystemExit(f"The drill failed: {found} is live, not {model_id}.")
    say(f"Live: {found}; registry, configuration and files agree.")


def config_of(model_id: str) -> training.Config:
    """The project's configuration with what MODELS says."""
    version, trees = MODELS[model_id]
    config = training.read_config(CONFIG)
    return replace(
        config,
        feature_version=version,
        num_boost_round=trees,
        parameters=config.parameters | {"learning_rate": RATE},
    )


def prepare(home: Home) -> None:
    """Models FIRST, BETTER and BROKEN, registered and not deployed."""
    announce("A simulated league, its feature store, and three models")
    build(home)
    for model_id, (version, trees) in MODELS.items():
        assert training.train(home, config_of(model_id)).model_id == model_id
        say(f"Trained: {model_id} on features {version}, at most {trees} trees")


def play(home: Home) -> None:
    """The life of a deployment; ends with an error when it goes another way."""
    announce(f"1. Deploy {FIRST}")
    deploy(home, FIRST)
    expect(home, FIRST)

    announce(f"2. {BETTER} as challenger, for three players in ten")
    deploy(home, BETTER, role="challenger", mode="split", traffic_split=0.3)
    answers, _ = lineup.load(home).answer("drill")
    counts = Counter(row["model_id"] for row in answers)
    versions = {row["model_id"]: row["feature_version"] for row in answers}
    if versions != {FIRST: "v1", BETTER: "v2"}:
        raise SystemExit(f"The drill failed: {versions} is not what they learnt from.")
    say("A slate is answered by " + ", ".join(f"{k}: {n}" for k, n in counts.items()))
    if not 0.2 < counts[BETTER] / len(answers) < 0.4:
        raise SystemExit(f"The drill failed: {counts} is no split of 0.3.")
    expect(home, FIRST)

    announce(f"3. Deploy {BETTER}")
    deploy(home, BETTER)
    expect(home, BETTER)

    announce(f"4. Deploy {BROKEN}: the gates refuse it")
    try:
        deploy(home, BROKEN)
    except UserError as error:
        say(error.message.splitlines()[0])
    else:
        raise SystemExit(f"The drill failed: {BROKEN} passed its gates.")
    expect(home, BETTER)

    announce(f"5. Deploy {BROKEN} past its gates: the watch rolls it back")
    try:
        deploy(home, BROKEN, force="the drill")
    except Degraded as error:
        say(error.message)
    else:
        raise SystemExit(f"The drill failed: {BROKEN} was not rolled back.")
    expect(home, BETTER)

    announce(f"6. Roll back by hand, to {FIRST} and forth to {BETTER}")
    for model_id in (FIRST, BETTER):
        deployment.rollback(home, model_id, "the drill", say=say, sleep=sleep)
        expect(home, model_id)
    print("\nThe drill passed.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        prepare(Home(Path(folder)))
        play(Home(Path(folder)))
