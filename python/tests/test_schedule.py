"""What asks for retraining, by the clock, names what exists; none of it ran here."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from nba_ml import retraining
from nba_ml.cli import cli
from nba_ml.settings import PROJECT
from test_image import VARIABLE, known_variables

WORKFLOW = ".github/workflows/retraining.yml"
JOB = "deploy/retraining-job.yaml"
CRONS = {"monthly": "0 2 1 * *", "daily": "0 10 * * *"}
# GitHub's own, each with its reason beside it
ACTIONS = ["actions/checkout@v4", "actions/setup-python@v5"]


def read(path: str) -> Any:
    return yaml.safe_load((PROJECT / path).read_text())


def workflow() -> dict[str, Any]:
    [job] = read(WORKFLOW)["jobs"].values()
    return dict(job)


def task() -> dict[str, Any]:
    return dict(read(JOB)["spec"]["template"]["spec"]["template"]["spec"])


def container() -> dict[str, Any]:
    [found] = task()["containers"]
    return dict(found)


def variables() -> set[str]:
    """Those that Python or profiles.yml reads."""
    profiles = (PROJECT / "profiles/profiles.yml").read_text()
    return known_variables() | set(VARIABLE.findall(profiles))


def commands(script: str) -> list[list[str]]:
    """The nba-ml commands of a script, each with its arguments; it parses them."""
    found = []
    for line in re.findall(
        r"nba-ml ([^;&\n]+)", script.replace("$OPTIONS", "--if-due")
    ):
        name, *arguments = shlex.split(line)
        cli.commands[name].make_context(name, list(arguments))
        found.append([name, *arguments])
    return found


def test_an_option_that_does_not_exist_is_seen() -> None:
    with pytest.raises(Exception, match="--if-needed"):
        commands("nba-ml retrain --if-needed")
    with pytest.raises(KeyError, match="retrian"):
        commands("nba-ml retrian")


def test_the_workflow_asks_when_and_for_what_it_says() -> None:
    found = read(WORKFLOW)
    asked = found[True]  # YAML reads `on` as true
    assert [one["cron"] for one in asked["schedule"]] == list(CRONS.values())
    assert "workflow_dispatch" in asked
    assert found["concurrency"] == {"group": "retraining", "cancel-in-progress": False}
    assert found["permissions"] == {"contents": "read"}
    steps = workflow()["steps"]
    assert [step["uses"] for step in steps if "uses" in step] == ACTIONS
    scripts = [step["run"] for step in steps if "run" in step]
    asked_for = [command for script in scripts for command in commands(script)]
    assert asked_for == [["retrain", "--if-due"], ["alerts"]]
    makefile = (PROJECT / "Makefile").read_text()
    verbs = [verb for script in scripts for verb in re.findall(r"^make (\S+)", script)]
    assert verbs == ["bigquery", "build"]
    assert all(re.search(rf"(?m)^{verb}:", makefile) for verb in verbs)


def test_the_workflow_knows_secrets_by_name_only() -> None:
    found = workflow()
    environments = [found["env"], *(step.get("env", {}) for step in found["steps"])]
    values = {name: value for one in environments for name, value in one.items()}
    assert set(found["env"]) <= variables()
    secret = {name for name, value in values.items() if "secrets." in value}
    assert secret == {"NBA_ML_WEBHOOK", "KEY"}
    scripts = "".join(step.get("run", "") for step in found["steps"])
    assert "secrets." not in scripts, "a shell would print it"
    page = (PROJECT / "docs/retraining-schedule.md").read_text()
    for name in re.findall(r"(?:vars|secrets)\.(\w+)", str(values)):
        assert f"`{name}`" in page, name


def test_the_job_runs_what_exists_in_the_image_that_exists() -> None:
    found = container()
    service = read("deploy/cloud-run.yaml")["spec"]["template"]["spec"]
    assert found["image"] == service["containers"][0]["image"]
    assert found["command"] == ["sh", "-c"]
    [script] = found["args"]
    assert commands(script) == [["retrain", "--if-due"], ["alerts"]]
    names = {one["name"]: one for one in found["env"]}
    assert set(names) <= variables()
    assert "secretKeyRef" in names["NBA_ML_WEBHOOK"]["valueFrom"], "no secret in a file"
    copied = (PROJECT / "Dockerfile").read_text()
    for folder in ("macros", "models", "seeds", "tests", "python/config"):
        assert f"\nCOPY {folder} {folder}\n" in copied, folder


@pytest.mark.parametrize(
    ("build", "retrain", "alerts", "code", "ran"),
    [
        (0, 0, 0, 0, "dbt retrain alerts"),
        (0, 1, 0, 1, "dbt retrain alerts"),
        (0, 0, 3, 3, "dbt retrain alerts"),
        (2, 0, 0, 2, "dbt alerts"),
    ],
)
def test_the_job_ends_with_what_went_wrong(
    build: int, retrain: int, alerts: int, code: int, ran: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    (tmp_path / "dbt").write_text(f"#!/bin/sh\necho dbt >> {log}; exit {build}\n")
    (tmp_path / "nba-ml").write_text(
        f"#!/bin/sh\necho $1 >> {log}\n"
        f"case $1 in retrain) exit {retrain};; alerts) exit {alerts};; esac\n"
    )
    for name in ("dbt", "nba-ml"):
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [*container()["command"], *container()["args"]], env={"PATH": path}
    )
    assert (done.returncode, log.read_text().split()) == (code, ran.split())


def test_a_lock_outlives_a_run_and_not_the_next_days() -> None:
    longest = timedelta(seconds=task()["timeoutSeconds"])
    longest = max(longest, timedelta(minutes=workflow()["timeout-minutes"]))
    assert longest < retraining.SILENT < timedelta(hours=24)


@pytest.mark.parametrize("verb", ["create", "update"])
def test_the_schedule_is_the_one_that_is_documented(verb: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "gcloud").write_text(
        f'#!/bin/sh\nprintf "%s|" "$@" >> {log}; echo >> {log}\n'
        f'case "$*" in *describe*) exit {int(verb == "create")};; esac\n'
    )
    (tmp_path / "gcloud").chmod(0o755)
    given = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PROJECT": "p", "REGION": "r"}
    script = ["sh", PROJECT / "deploy/schedule.sh"]
    subprocess.run(script, env=given, check=True)
    calls = [line.split("|") for line in log.read_text().splitlines()]
    made = [call for call in calls if call[:4] == ["scheduler", "jobs", verb, "http"]]
    crons = {call[4]: call[call.index("--schedule") + 1] for call in made}
    assert crons == {f"{when}-model-retraining": cron for when, cron in CRONS.items()}
    for call in made:
        uri = call[call.index("--uri") + 1]
        name = read(JOB)["metadata"]["name"]
        assert uri.endswith(f"/projects/p/locations/r/jobs/{name}:run")
        assert call[call.index("--time-zone") + 1] == "Etc/UTC"
    del given["REGION"]
    refused = subprocess.run(script, env=given, capture_output=True, text=True)
    assert refused.returncode and "REGION" in refused.stderr


def test_the_monthly_clock_is_the_one_of_the_trigger() -> None:
    with (PROJECT / "seeds/retraining_limits.csv").open() as file:
        limits = {row["limit_name"]: row["limit_value"] for row in csv.DictReader(file)}
    assert CRONS["monthly"] == f"0 {limits['monthly']} 1 * *"
    page = (PROJECT / "docs/retraining-schedule.md").read_text()
    assert all(f"`{cron}`" in page for cron in CRONS.values())
    rows = re.findall(r"(?m)^\| `(\w+)` \|", page)
    triggers = read("models/monitoring/_retraining__models.yml")["models"][0]
    [column] = [one for one in triggers["columns"] if one["name"] == "trigger"]
    named = column["data_tests"][1]["accepted_values"]["arguments"]["values"]
    assert [row for row in rows if row in named] == named


def test_the_runbook_leads_to_rules_and_knows_all_that_ask_for_a_model() -> None:
    runbook = (PROJECT / "docs/training-runbook.md").read_text()
    named = set(re.findall(r"monitoring\.md#(\w+)", runbook))
    headings = re.findall(
        r"(?m)^#+ (\w+)$", (PROJECT / "docs/monitoring.md").read_text()
    )
    assert named <= set(headings)
    with (PROJECT / "seeds/alert_rules.csv").open() as file:
        areas = {row["rule"]: row["area"] for row in csv.DictReader(file)}
    assert named <= areas.keys()
    asking = {rule for rule, area in areas.items() if area in ("drift", "model")}
    assert asking <= named
