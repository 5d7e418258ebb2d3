from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import drill
import pandas as pd
import pytest
import xgboost as xgb
import yaml
from click.testing import CliRunner
from drill import BETTER, BROKEN, FIRST

import gcs_emulator
import small_warehouse
from nba_ml import (
    deployment,
    files,
    lineup,
    publishing,
    registry,
    serving,
    spool,
    store,
    training,
)
from nba_ml.cli import cli
from nba_ml.deployment import Degraded, Plan
from nba_ml.probe import InProcess, Seen
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.warehouse import DuckDB, WarehouseUnavailable

NOW = Plan(watch=0)
FORCED = Plan(watch=0, force="for a test")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A simulated league with three models, none deployed, and its clock."""
    home = Home(tmp_path_factory.mktemp("prepared"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_PROFILES_DIR", str(PROJECT / "profiles"))
        patch.setenv("NBA_ML_HOME", "")
        patch.setenv("NBA_ML_AS_OF", "")
        drill.prepare(home)
        clock = os.environ["NBA_ML_AS_OF"]
    yield home, clock


@pytest.fixture(scope="module")
def deployed(
    prepared: tuple[Home, str], tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """The same with the first model in production."""
    home = copied(prepared[0], tmp_path_factory.mktemp("deployed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_AS_OF", prepared[1])
        deployment.deploy(home, FIRST, NOW)
    return home


def copied(home: Home, root: Path) -> Home:
    for name in ("models", "serving", "spool"):
        if (home.root / name).exists():
            shutil.copytree(home.root / name, root / name, dirs_exist_ok=True)
    shutil.copy(home.warehouse, root / "warehouse.duckdb")
    return Home(root)


@pytest.fixture
def fresh(
    prepared: tuple[Home, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Home:
    """Three models, none deployed; current for the commands."""
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    monkeypatch.setenv("NBA_ML_AS_OF", prepared[1])
    return copied(prepared[0], tmp_path)


@pytest.fixture
def live(
    deployed: Home,
    prepared: tuple[Home, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Home:
    """The first model in production; current for the commands."""
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    monkeypatch.setenv("NBA_ML_AS_OF", prepared[1])
    return copied(deployed, tmp_path)


def read(home: Home, sql: str) -> list[dict[str, Any]]:
    return DuckDB(home.warehouse).read(sql).to_dict("records")


def file_of(home: Home, model_id: str) -> tuple[str, str]:
    rows = read(home, "select model_id, artifact_sha256 from model_registry")
    return next(tuple(r.values()) for r in rows if r["model_id"] == model_id)


def statuses(home: Home) -> dict[str, str]:
    rows = read(home, "select model_id, status from model_registry")
    return {row["model_id"]: row["status"] for row in rows}


def steps(home: Home) -> list[tuple[str, str]]:
    rows = read(
        home,
        "select details from model_events where event_type = 'deploy_step'"
        " order by event_at, event_sequence",
    )
    found = [json.loads(row["details"]) for row in rows]
    return [(one["step"], one["text"]) for one in found]


def assert_in_step(home: Home, model_id: str) -> None:
    """Registry, files, configuration and what a worker serves are one."""
    assert deployment.differences(home) == []
    assert lineup.load(home).config.production_model.model_id == model_id
    states = statuses(home)
    assert [k for k, v in states.items() if v == "production"] == [model_id]
    folders = {"training": "staging", "retired": "archive"}
    names = [name for name in store.Folder(home.models).names() if "/" in name]
    places = {name: name.split("/") for name in names}
    for name, (folder, file) in places.items():
        owner = next(k for k in states if file.startswith(f"{k}."))
        assert folder == folders.get(states[owner], states[owner]), name
    assert len(names) == len({file for _, file in places.values()}), "no file is double"


# the life


def test_the_drill_goes_as_announced(
    fresh: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    drill.play(fresh)
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith("The drill passed.")
    assert f"rolled back to {BETTER}" in printed
    assert statuses(fresh) == {
        FIRST: "retired",
        BETTER: "production",
        BROKEN: "retired",
    }
    assert_in_step(fresh, BETTER)
    assert (fresh.models / f"archive/{BROKEN}.meta.json").exists()
    hours = [line[:2] for line in printed.splitlines() if "watch: " in line]
    assert hours == ["13", "14", "14"], "an hour is watched, a degraded one not so long"


def test_every_step_is_an_event_in_its_order(live: Home) -> None:
    deployment.deploy(live, BETTER, NOW)
    names = [name for name, _ in steps(live)]
    assert names[-9:] == [
        "begin",
        "validate file",
        "check gates",
        "upload",
        "write configuration",
        "smoke tests",
        "promote",
        "watch",
        "finish",
    ]
    rows = read(
        live,
        f"select event_type, gcs_path from model_events where model_id = '{BETTER}'",
    )
    paths = {row["event_type"]: row["gcs_path"] for row in rows}
    assert paths["staged"] == f"staging/{BETTER}.json"
    assert paths["promoted"] == f"production/{BETTER}.json"
    assert_in_step(live, BETTER)
    assert "15 of 15 hold" in dict(steps(live))["check gates"]


def test_a_deployment_repeated_does_nothing(live: Home) -> None:
    before = len(steps(live))
    done = deployment.deploy(live, FIRST, NOW)
    assert (done.status, done.live_model_id) == ("production", FIRST)
    assert len(steps(live)) == before


def test_a_model_that_moved_is_still_the_one_that_was_trained(live: Home) -> None:
    again = training.train(live, drill.config_of(FIRST), if_changed=True)
    assert (again.model_id, again.is_new) == (FIRST, False)
    assert again.path == str(live.models / f"production/{FIRST}.json")


def test_served_features_are_those_of_the_store(live: Home) -> None:
    slate = read(
        live,
        "select count(*) as n from feature_store_v1 where is_scheduled and"
        " season_type = 'regular' and games_played_prior >= 10 and game_date ="
        " (select min(game_date) from feature_store_v1 where is_scheduled)",
    )[0]["n"]
    served = read(
        live,
        "select count(distinct player_lookup) as n from prediction_log"
        " where variant = 'production'",
    )[0]["n"]
    assert served == slate > 300, "the watch replayed the whole slate"
    assert read(live, "select * from parity_mismatches") == []


# refusals


def path_of(home: Home, model_id: str = BETTER, end: str = "json") -> Path:
    return home.models / f"staging/{model_id}.{end}"


def damage(home: Home) -> None:
    content = path_of(home).read_bytes()
    path_of(home).write_bytes(content.replace(b"1", b"2", 1))


def cut(home: Home) -> None:
    path_of(home).write_bytes(b"{}")


def remove(home: Home) -> None:
    path_of(home).unlink()


def edit_manifest(home: Home, **changes: Any) -> None:
    path = path_of(home, end="meta.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def other_features(home: Home) -> None:
    edit_manifest(home, features_hash="0" * 64, feature_names=["points_avg_last_5"])


def other_library(home: Home) -> None:
    edit_manifest(home, library_versions={"xgboost": "1.7.6"})


def lost_feature(home: Home) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse), "alter table feature_store_v2 drop column is_home"
    )


def replaced(home: Home, booster: xgb.Booster) -> None:
    """Another file under the model's name, and a registry that believes in it."""
    content = bytes(booster.save_raw("json"))
    digest = hashlib.sha256(content).hexdigest()
    path_of(home).write_bytes(content)
    edit_manifest(home, artifact_sha256=digest)
    small_warehouse.change(
        DuckDB(home.warehouse),
        "update model_events set artifact_sha256 = ? where model_id = ?"
        " and event_type = 'trained'",
        [digest, BETTER],
    )


def fitted(home: Home, label: float) -> xgb.Booster:
    names = json.loads(path_of(home, end="meta.json").read_text())["feature_names"]
    rows = pd.DataFrame(0.0, index=range(20), columns=names)
    matrix = xgb.DMatrix(rows, label=[label] * 20)
    return xgb.train({"base_score": label}, matrix, num_boost_round=1)


def constant(home: Home) -> None:
    replaced(home, fitted(home, 9.0))


def below_zero(home: Home) -> None:
    replaced(home, fitted(home, -3.0))


def leaking(home: Home) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse),
        "update model_metrics set value = 0.6 * value where model_id = ?"
        " and predictor = 'model' and metric = 'mae'",
        [BETTER],
    )


def unmeasured(home: Home) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse), "delete from model_metrics where model_id = ?", [BETTER]
    )


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (damage, "its manifest says"),
        (cut, "has 2 bytes, not 1 kB to 200 MB"),
        (remove, f"There is no .*{BETTER}.json"),
        (other_features, "does not fit the store"),
        (other_library, "XGBoost 1.7.6, here is"),
        (lost_feature, "lack is_home"),
        (constant, "9.0 points for everybody"),
        (below_zero, "100% of its predictions are outside of 0 to 60"),
        (leaking, "not_too_good: Failed"),
        (unmeasured, "max_test_mae: Not decided"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    live: Home, plant: Callable[[Home], None], message: str
) -> None:
    config = serving.read_config(serving.open_serving(live))
    plant(live)
    with pytest.raises(UserError, match=message):
        deployment.deploy(live, BETTER, NOW)
    assert serving.read_config(serving.open_serving(live)) == config
    assert statuses(live)[BETTER] == "training"
    if plant is leaking:
        last = steps(live)[-1]
        assert last[0] == "finish" and "1 gates do not hold" in last[1]


def test_force_passes_over_gates_only_and_is_recorded(live: Home) -> None:
    leaking(live)
    deployment.deploy(live, BETTER, Plan(watch=0, force="known leak, for a test"))
    rows = read(
        live,
        f"select details from model_events where model_id = '{BETTER}'"
        " and event_type in ('staged', 'promoted')",
    )
    reasons = [json.loads(row["details"])["force"] for row in rows]
    assert reasons == ["known leak, for a test"] * 2
    assert "not_too_good: Failed" in dict(steps(live))["check gates"]


def test_force_does_not_pass_a_damaged_file(live: Home) -> None:
    damage(live)
    with pytest.raises(UserError, match="its manifest says"):
        deployment.deploy(live, BETTER, Plan(watch=0, force="I am sure"))


def test_names_that_do_not_exist_and_models_that_are_retired(live: Home) -> None:
    known = f"known: {FIRST}, {BETTER}, {BROKEN}"
    with pytest.raises(UserError, match=f"No model 9.9.9 .*{known}"):
        deployment.deploy(live, "9.9.9", NOW)
    deployment.deploy(live, BETTER, NOW)
    with pytest.raises(UserError, match=f"nba-ml rollback {FIRST}"):
        deployment.deploy(live, FIRST, NOW)


# out of step


def other_config(home: Home) -> None:
    path = home.root / "serving" / serving.CONFIG
    found = yaml.safe_load(path.read_text())
    found["production_model"] |= {
        "model_id": BETTER,
        "gcs_path": f"staging/{BETTER}.json",
    }
    path.write_text(yaml.safe_dump(found))


def no_config(home: Home) -> None:
    (home.root / "serving" / serving.CONFIG).unlink()


def broken_config(home: Home) -> None:
    (home.root / "serving" / serving.CONFIG).write_text("generation: many")


def other_settings(home: Home) -> None:
    path = home.root / "serving" / serving.CONFIG
    path.write_text(path.read_text().replace("eager", "lazy"))


def damaged_production(home: Home) -> None:
    path = home.models / f"production/{FIRST}.json"
    path.write_bytes(path.read_bytes()[:-1])


def lost_production(home: Home) -> None:
    (home.models / f"production/{FIRST}.json").unlink()


def other_registry(home: Home) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse),
        "delete from model_events where event_type = 'promoted' and model_id = ?",
        [FIRST],
    )


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (other_config, f"has production model {BETTER}, and the registry {FIRST}"),
        (no_config, f"has production model none, and the registry {FIRST}"),
        (broken_config, "is no serving configuration"),
        (other_settings, "with other settings"),
        (damaged_production, "is not the file that was registered"),
        (lost_production, "There is no"),
        (other_registry, f"has production model {FIRST}, and the registry none"),
    ],
)
def test_a_registry_out_of_step_is_seen_and_refused(
    live: Home, plant: Callable[[Home], None], message: str
) -> None:
    assert deployment.differences(live) == []
    plant(live)
    assert any(message in found for found in deployment.differences(live))
    with pytest.raises(UserError, match="out of step"):
        deployment.deploy(live, BETTER, NOW)
    assert statuses(live)[BETTER] == "training"
    printed = CliRunner().invoke(cli, ["status"]).output
    assert "Out of step:" in printed
    if plant in (other_config, no_config, broken_config, other_settings):
        deployment.rollback(live, FIRST)
        assert_in_step(live, FIRST)


# kills


@dataclass
class Kill:
    """Counts what a deployment does to disks; kills it before operation `at`.

    An operation is a file that is written or deleted or a batch that is loaded. Each
    is named after the step that was last announced.
    """

    at: int | None
    seen: list[str] = field(default_factory=list)
    step: str = "lock"

    def install(self) -> None:
        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*arguments: Any, **options: Any) -> Any:
                self.seen.append(self.step)
                if len(self.seen) == self.at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return wrapper

        written = counted(files.write_atomically)
        spool.write_atomically = store.write_atomically = written
        store.Folder.delete = counted(store.Folder.delete)
        DuckDB.append = counted(DuckDB.append)

    def say(self, line: str) -> None:
        if ":" in line[:21] and not line.startswith(" "):
            self.step = line.split(":")[0]


def child(
    root: Path, clock: str, at: int | None, report: Path | None, command: str
) -> None:
    os.environ["NBA_ML_AS_OF"] = clock
    kill = Kill(at)
    kill.install()
    if command == "deploy":
        deployment.deploy(Home(root), BETTER, NOW, say=kill.say)
    else:
        deployment.rollback(Home(root), say=kill.say)
    if report:
        report.write_text(json.dumps(kill.seen))


def run_child(
    home: Home, at: int | None, report: Path | None = None, command: str = "deploy"
) -> int | None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nba_ml.deployment", "pandas", "duckdb"])
    arguments = (home.root, os.environ["NBA_ML_AS_OF"], at, report, command)
    process = context.Process(target=child, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode


@pytest.fixture(scope="module")
def operations(
    deployed: Home, prepared: tuple[Home, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[int]]:
    """Numbers of the operations of a whole deployment, by the step before them."""
    root = tmp_path_factory.mktemp("counted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBA_ML_AS_OF", prepared[1])
        assert run_child(copied(deployed, root), None, root / "seen") == 0
    found: dict[str, list[int]] = {}
    for number, step in enumerate(json.loads((root / "seen").read_text()), start=1):
        found.setdefault(step, []).append(number)
    return found


STEPS = ["lock", "begin", "validate file", "check gates", "upload"]
STEPS += ["write configuration", "smoke tests", "promote", "watch", "finish"]


def test_kills_cover_every_step(operations: dict[str, list[int]]) -> None:
    assert list(operations) == STEPS


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_deployment_is_finished_by_the_next_call(
    live: Home, operations: dict[str, list[int]], step: str, share: float
) -> None:
    numbers = operations[step]
    at = numbers[round(share * (len(numbers) - 1))]
    assert run_child(live, at) == -signal.SIGKILL
    serves = lineup.load(live).config.production_model
    assert serves and serves.model_id in (FIRST, BETTER), "one model serves, whole"
    assert len(lineup.load(live).answer("request")[0]) > 300
    deployment.deploy(live, BETTER, NOW)
    assert_in_step(live, BETTER)
    assert statuses(live)[FIRST] == "retired"
    kinds = read(
        live,
        "select event_type, count(*) as n from model_events"
        f" where model_id = '{BETTER}'"
        " and event_type not in ('deploy_step', 'staged') group by all",
    )
    assert {row["n"] for row in kinds} == {1}, "no change happened twice"
    assert all(
        row["is_allowed"] for row in read(live, "select * from model_transitions")
    )
    assert spool.pending(live.spool) == []


def killed_after(home: Home, operations: dict[str, list[int]], step: str) -> None:
    assert run_child(home, operations[step][-1]) == -signal.SIGKILL


def test_another_deployment_undoes_a_killed_one(
    live: Home, operations: dict[str, list[int]]
) -> None:
    killed_after(live, operations, "write configuration")
    with pytest.raises(UserError, match="gates do not hold"):
        deployment.deploy(live, BROKEN, NOW)
    assert statuses(live) == {
        FIRST: "production",
        BETTER: "retired",
        BROKEN: "training",
    }
    assert_in_step(live, FIRST)


def test_a_rollback_undoes_a_killed_deployment(
    live: Home, operations: dict[str, list[int]]
) -> None:
    killed_after(live, operations, "write configuration")
    deployment.rollback(live, FIRST)
    assert_in_step(live, FIRST)
    assert statuses(live)[BETTER] == "retired"


def test_a_killed_rollback_is_finished_by_the_next_call(
    live: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deployment.deploy(live, BETTER, NOW)
    counted = tmp_path_factory.mktemp("rollback")
    home = copied(live, counted)
    assert run_child(home, None, counted / "seen", "rollback") == 0
    count = len(json.loads((counted / "seen").read_text()))
    # not the last of all: then its end is written, and a repeat is another rollback
    for share in (0.1, 0.4, 0.6, 0.8):
        home = copied(live, tmp_path_factory.mktemp("killed"))
        at = max(round(share * count), 4)  # after its begin
        assert run_child(home, at, command="rollback") == -signal.SIGKILL
        assert len(lineup.load(home).answer("request")[0]) > 300
        deployment.rollback(home)
        assert_in_step(home, FIRST)
        assert statuses(home)[BETTER] == "retired"


def test_a_killed_deployment_is_all_that_a_rollback_takes_back(
    live: Home, operations: dict[str, list[int]]
) -> None:
    deployment.deploy(live, BETTER, NOW)
    deployment.rollback(live, FIRST)
    deployment.rollback(live, BETTER)
    with pytest.raises(UserError, match="does not serve as staging model"):
        deployment.deploy(live, BROKEN, FORCED, Absent(live))
    assert statuses(live)[BROKEN] == "staging"
    deployment.rollback(live)
    assert statuses(live) == {FIRST: "retired", BETTER: "production", BROKEN: "retired"}
    assert_in_step(live, BETTER)


def test_what_is_given_up_does_not_go_live(live: Home) -> None:
    with pytest.raises(UserError, match="gates do not hold"):
        deployment.deploy(live, BROKEN, NOW)
    with pytest.raises(UserError, match=f"to give it up: nba-ml rollback {BROKEN}"):
        deployment.deploy(live, BROKEN, FORCED, Absent(live))
    deployment.rollback(live, BROKEN)
    assert statuses(live) == {
        FIRST: "production",
        BETTER: "training",
        BROKEN: "retired",
    }
    with pytest.raises(UserError, match="withdrawn and never in production"):
        deployment.rollback(live, BROKEN)
    with pytest.raises(UserError, match="nba-ml train --force"):
        deployment.deploy(live, BROKEN, NOW)
    assert_in_step(live, FIRST)


def test_a_rollback_takes_back_a_promotion_that_was_killed(
    live: Home, operations: dict[str, list[int]]
) -> None:
    killed_after(live, operations, "watch")
    deployment.rollback(live)
    assert_in_step(live, FIRST)


def test_of_two_deployments_one_is_refused(live: Home) -> None:
    serves = serving.open_serving(live)
    with deployment._alone(live), pytest.raises(UserError, match="Another deployment"):
        deployment.deploy(live, BETTER, NOW)
    assert not any(name == deployment.LOCK for name in serves.names())
    deployment.deploy(live, BETTER, NOW)


# rollback


def test_rollback_goes_to_the_last_good_model(live: Home) -> None:
    with pytest.raises(UserError, match="No earlier production model"):
        deployment.rollback(live)
    deployment.deploy(live, BETTER, NOW)
    result = CliRunner().invoke(cli, ["rollback", "--reason", "a try", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["live_model_id"] == FIRST
    assert_in_step(live, FIRST)
    with pytest.raises(UserError, match="No earlier production model"):
        deployment.rollback(live)
    deployment.rollback(live, BETTER)
    assert_in_step(live, BETTER)
    periods = read(live, "select model_id, live_until from model_live_periods")
    assert [row["model_id"] for row in periods] == [BETTER], "with a clock that stands"


def test_rollback_refuses_what_never_served_and_what_is_damaged(live: Home) -> None:
    with pytest.raises(UserError, match="never in production: nba-ml deploy"):
        deployment.rollback(live, BETTER)
    deployment.deploy(live, BETTER, NOW)
    path = live.models / f"archive/{FIRST}.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not the file that was trained"):
        deployment.rollback(live)
    assert_in_step(live, BETTER)


def test_a_challenger_is_withdrawn_and_not_pushed_aside(live: Home) -> None:
    plan = Plan(role="challenger", mode="split", traffic_split=0.3)
    done = deployment.deploy(live, BETTER, plan)
    assert (done.status, done.live_model_id) == ("staging", FIRST)
    staged = serving.read_config(serving.open_serving(live))[0].staging_model
    assert staged and (staged.mode, staged.traffic_split) == ("split", 0.3)
    deployment.deploy(live, BETTER, replace(plan, traffic_split=0.5))
    staged = serving.read_config(serving.open_serving(live))[0].staging_model
    assert staged and staged.traffic_split == 0.5, "the share may be changed"
    periods = read(live, "select traffic_split, ended_at from experiment_periods")
    assert [row["traffic_split"] for row in periods] == [0.5], "no time between them"
    assert_in_step(live, FIRST)
    with pytest.raises(UserError, match=f"{BETTER} is the challenger"):
        deployment.deploy(live, BROKEN, NOW)
    deployment.rollback(live, BETTER, "enough")
    assert statuses(live)[BETTER] == "retired"
    assert_in_step(live, FIRST)


def test_nothing_is_challenged_before_something_is_deployed(fresh: Home) -> None:
    with pytest.raises(UserError, match="No model is in production"):
        deployment.deploy(fresh, BETTER, Plan(role="challenger"))
    assert statuses(fresh)[BETTER] == "training"


# in a bucket


def test_a_model_of_this_machine_is_deployed_to_a_bucket(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = "gs://nba/team/models"
    with gcs_emulator.running() as emulator:
        emulator.create_bucket("nba")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator.url)
        deployment.rollback(cloud := replace(live, model_store=root), FIRST)
        publishing.publish(cloud, "v1")  # as nba-ml predict does, for FIRST
        bucket = store.Bucket(root, patience=20)
        deployment.deploy(cloud, BETTER, NOW)
        assert deployment.differences(cloud) == []
        config = serving.read_config(serving.open_serving(cloud))[0]
        assert config.production_model
        assert config.production_model.gcs_path == f"{root}/production/{BETTER}.json"
        assert lineup.load(cloud).answer("request", None)[0]
        deployment.rollback(cloud)
        assert deployment.differences(cloud) == []
        names = [name for name in bucket.names() if name.endswith(f"{BETTER}.json")]
        assert names == [f"archive/{BETTER}.json"]
        assert "serving/model_config.yaml" in bucket.names()
        # a deployer in the cloud that gives no sign of life is dead after ten minutes
        serves = serving.open_serving(cloud)
        serves.lock(deployment.LOCK)
        with pytest.raises(UserError, match="Another deployment"):
            deployment.rollback(cloud, BETTER)
        lock = emulator.resource("nba", f"team/models/serving/{deployment.LOCK}")
        past = time.gmtime(time.time() - 601)
        lock["updated"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", past)
        deployment.rollback(cloud, BETTER)
        assert deployment.differences(cloud) == []


# the watch


class Absent(InProcess):
    """A worker that takes no challenger."""

    def look(self) -> Seen:
        return replace(super().look(), staging=None)


class Silent(InProcess):
    """A worker that dies after the promotion."""

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        if self.look().production == file_of(self.home, BETTER):
            raise UserError("It does not answer.")
        return super().ask(players)


class Mute(InProcess):
    """A worker that answers nothing, and logs nothing."""

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        return []


class Slow(InProcess):
    """A worker that needs more than 100 ms for one request in five."""

    def ask(self, players: list[str]) -> list[dict[str, Any]]:
        answers = super().ask(players)
        if self.look().production == self.spoilt:
            self.spoil()
        return answers

    spoilt: tuple[str, str]
    damaged: Path | None = None

    def spoil(self) -> None:
        [path] = spool.pending(self.home.spool)
        events = [json.loads(line) for line in path.read_text().splitlines()]
        requests = [one["row"] for one in events if one["table"] == "request_log"]
        for request in requests[::5]:
            self.change(request)
        path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        if self.damaged:
            self.damaged.write_bytes(b"{}")

    def change(self, request: dict[str, Any]) -> None:
        request["latency_ms"] = 101.0


class Failing(Slow):
    """A worker that fails one request in five."""

    def change(self, request: dict[str, Any]) -> None:
        request["status"] = 500


class Deaf(InProcess):
    """A worker that never takes the new model."""

    def look(self) -> Seen:
        seen = super().look()
        return Seen(
            seen.production if seen.production == self.old else None, seen.staging
        )

    old: tuple[str, str]


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Slow, "slow share is 0.2"), (Failing, "failed share is 0.2")],
)
def test_a_worker_that_fails_its_limits_is_rolled_back(
    live: Home, kind: type[Slow], message: str
) -> None:
    probe = kind(live)
    probe.spoilt = file_of(live, BETTER)
    with pytest.raises(Degraded, match=message):
        deployment.deploy(live, BETTER, NOW, probe)
    assert_in_step(live, FIRST)
    assert statuses(live)[BETTER] == "retired"


def test_a_worker_that_does_not_take_the_model_is_rolled_back(live: Home) -> None:
    probe = Deaf(live)
    probe.old = file_of(live, FIRST)
    with pytest.raises(Degraded, match="does not serve as production model"):
        deployment.deploy(live, BETTER, NOW, probe)
    assert_in_step(live, FIRST)


def test_degraded_with_nothing_sound_to_return_to_is_said(live: Home) -> None:
    probe = Failing(live)
    probe.spoilt = file_of(live, BETTER)
    probe.damaged = live.models / f"archive/{FIRST}.json"
    with pytest.raises(Degraded, match="still serves, since what was before does not"):
        deployment.deploy(live, BETTER, NOW, probe)
    assert statuses(live)[BETTER] == "production"


def test_a_worker_that_does_not_answer_is_no_success(live: Home) -> None:
    with pytest.raises(Degraded, match="No request of the slate was answered"):
        deployment.deploy(live, BETTER, NOW, Silent(live))
    assert_in_step(live, FIRST)


def test_requests_that_fail_stop_before_the_promotion(live: Home) -> None:
    with pytest.raises(UserError, match="404 of 404 requests failed"):
        deployment.deploy(live, BETTER, NOW, Mute(live))
    assert statuses(live)[BETTER] == "staging"
    deployment.deploy(live, BETTER, NOW)
    assert_in_step(live, BETTER)


def test_a_challenger_answers_nobody_before_its_smoke_tests(live: Home) -> None:
    probe, seen = InProcess(live), []
    ask = probe.ask

    def looked_at(players: list[str]) -> list[dict[str, Any]]:
        seen.append(serving.read_config(serving.open_serving(live))[0].staging_model)
        return ask(players)

    probe.ask = looked_at
    plan = Plan(role="challenger", mode="split", traffic_split=0.5)
    deployment.deploy(live, BETTER, plan, probe)
    assert [(one.mode, one.traffic_split) for one in seen if one] == [("shadow", 0.0)]


def test_two_versions_with_one_file_are_two_models(live: Home) -> None:
    for name in live.models.glob(f"staging/{BETTER}.*"):
        content = (
            live.models / "production" / name.name.replace(BETTER, FIRST)
        ).read_bytes()
        if name.name.endswith(".meta.json"):
            found = json.loads(content) | {"model_id": BETTER, "model_version": "2.0.0"}
            content = json.dumps(found).encode()
        name.write_bytes(content)
    small_warehouse.change(
        DuckDB(live.warehouse),
        "update model_events set artifact_sha256 = ?, feature_version = 'v1'"
        " where model_id = ? and event_type = 'trained'",
        [file_of(live, FIRST)[1], BETTER],
    )
    before = lineup.load(live)
    deployment.deploy(live, BETTER, NOW)
    answers, _ = lineup.load(live, before).answer("request")
    assert {row["model_id"] for row in answers} == {BETTER}


def test_a_clock_that_goes_back_is_refused(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_AS_OF", "2025-01-01T12:00:00")
    with pytest.raises(UserError, match="Unset NBA_ML_AS_OF"):
        deployment.deploy(live, BETTER, NOW)
    with pytest.raises(UserError, match="Unset NBA_ML_AS_OF"):
        deployment.rollback(live)
    registry_says = "update model_events set event_at = event_at - interval 1 year"
    small_warehouse.change(
        DuckDB(live.warehouse), f"{registry_says} where model_id = '{BETTER}'"
    )
    for kind in ("staged", "promoted"):
        event = registry.model_event(kind, BETTER, gcs_path=f"staging/{BETTER}.json")
        spool.write(live.spool, [event])
    spool.sync(live)
    assert "2 models are production" in deployment.differences(live)[0]


def test_between_seasons_a_rollback_works(live: Home) -> None:
    deployment.deploy(live, BETTER, NOW)
    for name in ("feature_store_v1", "feature_store_v2"):
        sql = f"delete from {name} where is_scheduled"
        small_warehouse.change(DuckDB(live.warehouse), sql)
    with pytest.raises(UserError, match="No game is scheduled"):
        deployment.deploy(live, BROKEN, NOW)
    deployment.rollback(live)
    assert_in_step(live, FIRST)


def test_a_file_that_was_moved_comes_back(live: Home) -> None:
    (live.models / "archive").mkdir(exist_ok=True)
    for path in live.models.glob(f"production/{FIRST}.*"):
        path.rename(live.models / "archive" / path.name)
    assert "There is no" in deployment.differences(live)[0]
    deployment.rollback(live, FIRST)
    assert_in_step(live, FIRST)


def test_a_damaged_file_that_nothing_can_repair_is_said(live: Home) -> None:
    damaged_production(live)
    with pytest.raises(UserError, match="Still out of step"):
        deployment.rollback(live, FIRST)


def test_a_reason_means_nothing(live: Home) -> None:
    deployment.deploy(live, BETTER, NOW)
    deployment.rollback(live, reason="replaced by accident")
    with pytest.raises(UserError, match="No earlier production model"):
        deployment.rollback(live)


def test_a_first_model_that_degrades_leaves_nothing_to_serve(fresh: Home) -> None:
    probe = Failing(fresh)
    probe.spoilt = file_of(fresh, FIRST)
    with pytest.raises(Degraded, match="no model, there was none before"):
        deployment.deploy(fresh, FIRST, NOW, probe)
    with pytest.raises(lineup.NoModel):
        lineup.load(fresh)


def test_features_that_are_served_otherwise_than_stored_are_caught(
    live: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = serving.take_snapshot

    def skewed(slate: pd.DataFrame, *others: Any) -> tuple[serving.Snapshot, bytes]:
        return take(slate.assign(days_rest=slate["days_rest"] + 1), *others)

    monkeypatch.setattr(publishing.serving, "take_snapshot", skewed)
    with pytest.raises(UserError, match="served features differ from the store's"):
        deployment.deploy(live, BETTER, NOW)
    assert statuses(live)[BETTER] == "retired"
    names = {
        row["feature_name"] for row in read(live, "select * from parity_mismatches")
    }
    assert names == {"days_rest"}


def test_the_watch_looks_every_minute(live: Home) -> None:
    pauses: list[float] = []
    deployment.deploy(live, BETTER, Plan(watch=150), sleep=pauses.append)
    assert pauses == [60.0, 60.0, 30.0]


def test_a_deployment_that_cannot_sync_decides_nothing(live: Home) -> None:
    unreadable = live.spool / "0-unreadable.jsonl"
    unreadable.write_text("{}")
    with pytest.raises(UserError, match="is no event"):
        deployment.deploy(live, BETTER, NOW)
    unreadable.unlink()
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True)"
    hold += "; input()"
    command = [sys.executable, "-c", hold, str(live.warehouse)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin and holder.stdout
        holder.stdout.readline()
        with pytest.raises(WarehouseUnavailable, match="is in use by"):
            deployment.deploy(live, BETTER, NOW)
        holder.stdin.close()
    assert statuses(live)[BETTER] == "training"
    deployment.deploy(live, BETTER, NOW)
