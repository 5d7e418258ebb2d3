from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, registry, spool
from nba_ml.artefact import Version
from nba_ml.cli import cli
from nba_ml.registry import Candidate, Registered
from nba_ml.settings import Home, UserError
from nba_ml.spool import Event
from nba_ml.store import Folder

SAME = Candidate("v1", "xgboost", "hash", "{}", "frame", '{"xgboost":"3.2.0"}')


def model(text: str, candidate: Candidate = SAME) -> Registered:
    version = Version.parse(text)
    return Registered(version.model_id, version, candidate, "")


@pytest.mark.parametrize(
    ("newest", "change", "bump", "force", "expected"),
    [
        (None, {}, None, False, "1.0.0"),
        ("1.0.0", {"feature_version": "v2"}, None, False, "2.0.0"),
        ("1.4.2", {"algorithm": "other"}, None, False, "2.0.0"),
        ("1.4.2", {"features_hash": "other"}, None, False, "2.0.0"),
        ("1.4.2", {"config": "other"}, None, False, "1.5.0"),
        ("1.4.2", {"training_frame_sha256": "other"}, None, False, "1.5.0"),
        ("1.4.2", {"library_versions": "{}"}, None, False, "1.4.3"),
        ("1.4.2", {}, None, True, "1.4.3"),
        ("1.4.2", {}, "patch", False, "1.4.3"),
        ("1.4.2", {}, "major", False, "2.0.0"),
        ("1.4.2", {"config": "other"}, "major", False, "2.0.0"),
        ("1.9.0", {"config": "other"}, "minor", False, "1.10.0"),
        ("1.4.2", {}, None, False, "Nothing changed since xgboost_v1.4.2"),
        ("1.4.2", {"config": "x"}, "patch", False, "this is a minor change"),
        ("1.4.2", {"features_hash": "x"}, "minor", True, "this is a major change"),
    ],
)
def test_next_version(
    newest: str, change: dict[str, str], bump: str | None, force: bool, expected: str
) -> None:
    old = model("0.9.0", replace(SAME, config="old"))
    models = [old, model(newest)] if newest else []
    candidate = replace(SAME, **change)
    taken = {known.version for known in models}
    if expected[0].isdigit():
        found = registry.next_version(models, candidate, taken, bump, force)
        assert str(found) == expected
    else:
        with pytest.raises(UserError, match=expected):
            registry.next_version(models, candidate, taken, bump, force)


def test_versions_of_files_and_reservations_are_never_reused(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/xgboost_v1.7.0.meta.json").touch()
    taken = artefact.taken(Folder(tmp_path))
    changed = replace(SAME, config="other")
    found = registry.next_version([model("1.0.0")], changed, taken)
    assert str(found) == "1.8.0"
    assert str(registry.next_version([], changed, taken)) == "1.8.0"


def test_reservation_is_exclusive_and_cleans_up(tmp_path: Path) -> None:
    def choose(taken: set[Version]) -> Version:
        return Version(1, len(taken), 0)

    store, other = Folder(tmp_path), Folder(tmp_path)
    with artefact.reserve(store, set, choose) as (first, name, generation):
        assert store.read(name)[1] == generation
        with artefact.reserve(other, set, choose) as (second, _, _):
            assert (str(first), str(second)) == ("1.0.0", "1.1.0")
            artefact.sweep(other, set)
            assert len(artefact.reservations(other)) == 2, "the living are left alone"
    (tmp_path / "staging/xgboost_v1.2.0.lock").touch()
    (tmp_path / "staging/xgboost_v1.2.0.json").touch()
    (tmp_path / "staging/.xgboost_v1.2.0.json.ab.tmp").touch()
    (tmp_path / "staging/xgboost_v1.3.0.lock").touch()
    (tmp_path / "staging/xgboost_v1.3.0.json").touch()
    artefact.sweep(store, lambda: {"xgboost_v1.3.0"})
    left = {path.name for path in (tmp_path / "staging").iterdir()}
    assert left == {f"xgboost_v1.{i}.0.json" for i in (0, 1, 3)}
    failing = artefact.reserve(store, set, lambda _: Version(2, 0, 0))
    with pytest.raises(ZeroDivisionError), failing:
        raise ZeroDivisionError
    assert Version(2, 0, 0) not in artefact.taken(store)


def test_registered_models_are_those_of_warehouse_and_spool(trained_home: Home) -> None:
    unsynced = registry.model_event(
        "trained",
        "xgboost_v1.10.0",
        **dict.fromkeys([*Candidate.__dataclass_fields__, "gcs_path"], "x"),
    )
    spool.write(trained_home.spool, [unsynced])
    found = [known.model_id for known in registry.registered(trained_home)]
    assert found == ["xgboost_v1.0.0", "xgboost_v1.10.0"]
    unbuilt = Home(trained_home.root / "other")
    unbuilt.root.mkdir()
    small_warehouse.load(unbuilt.warehouse, small_warehouse.games())
    with pytest.raises(UserError, match="dbt build -s model_registry"):
        registry.registered(unbuilt)


# the SQL of the registry, by dbt itself


def event(event_type: str, model_id: str, number: int, **columns: str) -> Event:
    made = registry.model_event(event_type, model_id, **columns)
    return Event("model_events", {**made.row, "event_id": f"{model_id}-{number}"})


def test_dbt_tests_pass_on_a_real_registry_and_catch_violations(
    built: Home, trained: tuple[Home, object], tmp_path: Path
) -> None:
    home = Home(tmp_path)
    shutil.copy(trained[0].warehouse, home.warehouse)
    shutil.copytree(built.root / "target", tmp_path / "target")
    selection = ["--select", "path:models/registry", "path:models/predictions"]
    selection += ["stg_prediction_history", "deployment_gates", "watch_limits"]
    healthy = small_warehouse.dbt(home, "build", *selection, "--full-refresh")
    assert healthy.returncode == 0, healthy.stdout
    kept = registry.status(home)["models"]
    assert len(kept) == 1, "a full refresh keeps what Python wrote"
    planted = [
        event(kind, model_id, number)
        for model_id in ("xgboost_v2.0.0", "xgboost_v3.0.0")
        for number, kind in enumerate(["trained", "staged", "promoted"])
    ]
    planted += [event("promoted", "xgboost_v1.0.0", 1)]  # never staged
    planted += [event("adopted", "xgboost_v2.0.0", 9)]
    planted += [event("staged", "xgboost_v8.0.0", 1)]  # never trained
    metric = {"event_id": "x", "model_id": "xgboost_v1.0.0", "split": "test"}
    metric |= {"population": "all", "predictor": "model", "metric": "mae"}
    planted += [Event("model_metrics", {**metric, "value": 1.0})]
    log = {"prediction_id": "p", "model_id": "xgboost_v1.0.0", "artifact_sha256": "no"}
    log |= {"mode": "live", "variant": "production", "player_lookup": "a"}
    log |= {"game_id": "g", "game_date": "2024-01-01", "predicted_points": 1.0}
    planted += [Event("prediction_log", log)]
    spool.write(home.spool, planted)
    assert spool.sync(home).problems == []
    broken = small_warehouse.dbt(
        home, "test", *selection, "--exclude-resource-type", "unit_test"
    )
    assert broken.returncode == 1
    failed = re.findall(r"Failure in test (\S+)", broken.stdout)
    for guard in (
        "model_registry__one_production_one_staging",
        "accepted_values_model_transitions_is_allowed__False__True",
        "accepted_values_model_events_event_type",
        "relationships_model_events_model_id__model_id__ref_model_registry_",
        "unique_combination_model_metrics",
        "accepted_values_model_lineage_is_registered_artifact__False__True",
    ):
        assert any(name.startswith(guard) for name in failed), (guard, broken.stdout)


def moved(model_id: str, **folders: str) -> list[Event]:
    """Events of a model, each with the folder that its file is in then."""
    return [
        event(kind, model_id, number, gcs_path=f"{folder}/{model_id}.json")
        for number, (kind, folder) in enumerate(folders.items())
    ]


def test_files_out_of_place_are_found(trained_home: Home) -> None:
    guard = "assert_model_registry__files_are_where_the_status_says"

    def check(*events: list[Event]) -> str:
        spool.write(trained_home.spool, sum(events, []))
        assert spool.sync(trained_home).problems == []
        return small_warehouse.dbt(trained_home, "test", "--select", guard).stdout

    live = {"trained": "staging", "staged": "staging", "promoted": "production"}
    bucket = {kind: f"gs://bucket/models/{folder}" for kind, folder in live.items()}
    healthy = [moved("xgboost_v2.0.0", **live, retired="archive")]
    healthy += [moved("xgboost_v3.0.0", **bucket), moved("xgboost_v4.0.0", **live)]
    healthy += [[event("retired", "xgboost_v4.0.0", 9)]]  # does not say where
    assert "PASS=2 " in check(*healthy)
    wrong = [moved("xgboost_v5.0.0", trained="production")]
    wrong += [moved("xgboost_v6.0.0", **live | {"promoted": "staging"})]
    wrong += [moved("xgboost_v7.0.0", **live, retired="production")]
    wrong += [moved("xgboost_v8.0.0", **bucket | {"promoted": "gs://production-1"})]
    assert "Got 4 results" in check(*wrong)


def test_status_of_a_fresh_folder_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    result = CliRunner().invoke(cli, ["status"])
    assert result.exit_code == 1 and "dbt build" in result.output


@pytest.mark.parametrize("name", ["train", "predict", "sync", "status"])
def test_help_has_a_line_to_paste(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0 and f"  nba-ml {name}" in result.output
