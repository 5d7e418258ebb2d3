"""The image and the Cloud Run service name what exists; neither could be run here."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from nba_ml import worker
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home

VARIABLE = re.compile(r"NBA_ML_[A-Z_]+")


def dockerfile() -> list[list[str]]:
    """Instructions, each with its words; comments left out."""
    text = re.sub(r"(?m)^#.*\n", "", (PROJECT / "Dockerfile").read_text())
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line]


def known_variables() -> set[str]:
    text = (PROJECT / "python/src/nba_ml/settings.py").read_text()
    return set(VARIABLE.findall(text))


def container() -> dict[str, Any]:
    service = yaml.safe_load((PROJECT / "deploy/cloud-run.yaml").read_text())
    [found] = service["spec"]["template"]["spec"]["containers"]
    return found


def serve_accepts(command: str) -> bool:
    words = command.replace("$PORT", "8080").split()
    assert words[:2] == ["nba-ml", "serve"]
    return bool(cli.commands["serve"].make_context("serve", words[2:]))


def test_the_image_copies_what_exists_and_starts_the_worker() -> None:
    lines = dockerfile()
    allowed = (PROJECT / ".dockerignore").read_text().splitlines()
    copied = [path for words in lines if words[0] == "COPY" for path in words[1:-1]]
    assert copied
    for path in copied:
        assert (PROJECT / path).exists(), path
        assert f"!{path}" in allowed, f"{path} is kept out by .dockerignore"
    assert {line[1:] for line in allowed if line.startswith("!")} == set(copied)
    [start] = [" ".join(words[1:]) for words in lines if words[0] == "CMD"]
    assert serve_accepts(json.loads(start)[2].removeprefix("exec "))
    users = [words[1] for words in lines if words[0] == "USER"]
    assert users == ["worker"], "not root"
    [check] = [" ".join(words) for words in lines if words[0] == "HEALTHCHECK"]
    assert "/healthz" in check and "/healthz" in worker.PROBES
    compile(json.loads(check[check.index("[") :])[2], "healthcheck", "exec")
    assert ["FROM", "python:3.11-slim"] in lines


def test_the_locked_packages_are_those_of_the_worker() -> None:
    lock = (PROJECT / "requirements-bigquery.lock").read_text()
    for name in ("fastapi", "uvicorn", "prometheus-client", "google-cloud-storage"):
        assert re.search(rf"(?m)^{name}==", lock), name
    for name in ("hatchling", "editables"):  # --no-build-isolation
        assert re.search(rf"(?m)^{name}==", lock), name


def test_the_service_asks_for_what_the_worker_has() -> None:
    found = container()
    app = worker.create_app(Home(PROJECT / "data"))
    paths = set(app.openapi()["paths"])
    for probe in ("startupProbe", "livenessProbe"):
        path = found[probe]["httpGet"]["path"]
        assert path in paths & worker.PROBES, "probes carry no token"
    names = {one["name"]: one for one in found["env"]}
    assert set(names) <= known_variables()
    assert names["NBA_ML_JOURNAL"]["value"] == "stdout"
    assert "secretKeyRef" in names["NBA_ML_TOKEN"]["valueFrom"], "no token in a file"
    [port] = found["ports"]
    assert re.findall(r"PORT=\d+", (PROJECT / "Dockerfile").read_text()) == [
        "PORT=8080"
    ]
    assert port["containerPort"] == 8080


def test_the_page_names_what_exists() -> None:
    page = (PROJECT / "docs/serving.md").read_text()
    assert set(VARIABLE.findall(page)) <= known_variables()
    app = worker.create_app(Home(PROJECT / "data"))
    told = set(re.findall(r"\| `(?:GET|POST) (/[\w/.]+)`", page))
    assert told == set(app.openapi()["paths"]) | {"/openapi.json"}
    metrics = set(re.findall(r"`(nba_ml_[a-z_]+)`", page))
    source = (PROJECT / "python/src/nba_ml/worker.py").read_text()
    assert all(f'"{name.removeprefix("nba_ml_")}"' in source for name in metrics)
