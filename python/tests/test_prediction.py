from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, prediction, registry, spool
from nba_ml.artefact import FeatureSet, Model
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve
from nba_ml.warehouse import DuckDB

NAMES = tuple(small_warehouse.FEATURES)
FEATURES = FeatureSet("v1", NAMES)


def model_file(home: Home) -> Path:
    return home.models / "staging/xgboost_v1.0.0.json"


def load(home: Home, features: FeatureSet = FEATURES, sha256: str = "") -> Model:
    place = resolve(home, "staging/xgboost_v1.0.0.json")
    return artefact.load(*place, features, sha256 or None)


def logged(home: Home) -> pd.DataFrame:
    return DuckDB(home.warehouse).read(
        "select * from prediction_log order by game_id, player_lookup"
    )


def rows(home: Home) -> pd.DataFrame:
    return DuckDB(home.warehouse).read(
        "select * from feature_store_v1 where is_scheduled"
        " order by game_id, player_lookup"
    )


# the slate


def test_next_slate_is_predicted_logged_and_published(trained_home: Home) -> None:
    slate = prediction.predict(trained_home)
    assert slate.mode == "replay" and slate.model_id == "xgboost_v1.0.0"
    log = logged(trained_home)
    assert len(log) == len(slate.rows) == 60
    model = load(trained_home)
    store = rows(trained_home)
    assert (log["predicted_points"].to_numpy() == model.predict(store)).all()
    assert (log["predicted_low"] <= log["predicted_points"]).all()
    assert (log["predicted_points"] <= log["predicted_high"]).all()
    assert log["confidence"].between(0, 1).all()
    assert set(log["variant"]) == {"candidate"}
    assert set(log["predicted_at"]) == {pd.Timestamp("2024-03-30 12:00:00")}
    assert log["has_availability_report"].sum() == 20
    vector = json.loads(log["features"].iloc[0])
    assert list(vector) == list(NAMES)
    missing = [json.loads(text)["noise"] is None for text in log["features"]]
    assert missing == store["noise"].isna().tolist()
    pointer = json.loads((trained_home.root / "serving/features_v1.json").read_text())
    published = (trained_home.root / "serving" / pointer["path"]).read_bytes()
    assert pointer["features_hash"] == hashlib.sha256(published).hexdigest()
    assert set(log["features_hash"]) == {pointer["features_hash"]}
    served = pd.read_parquet(trained_home.root / "serving" / pointer["path"])
    assert (model.predict(served) == model.predict(store)).all()
    lineage = DuckDB(trained_home.warehouse).read("select * from model_lineage")
    assert len(lineage) == 60 and lineage["is_registered_artifact"].all()
    assert set(lineage["dbt_invocation_id"]) == {"invocation"}


def test_a_repeat_doubles_nothing_and_news_are_logged(trained_home: Home) -> None:
    first = prediction.predict(trained_home)
    again = prediction.predict(trained_home)
    assert set(again.rows["prediction_id"]) == set(first.rows["prediction_id"])
    assert len(logged(trained_home)) == 60
    small_warehouse.change(
        DuckDB(trained_home.warehouse),
        "update feature_store_v1 set points_avg_last_5 = 30"
        " where is_scheduled and player_lookup = 'player07'",
    )
    prediction.predict(trained_home)
    assert len(logged(trained_home)) == 120


def test_mode_follows_the_age_of_the_tables(trained_home: Home) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    warehouse = DuckDB(trained_home.warehouse)
    for hours, mode in ((23, "live"), (25, "replay")):
        moment = now - timedelta(hours=hours)
        small_warehouse.change(warehouse, "update build_info set as_of = ?", [moment])
        assert prediction.predict(trained_home).mode == mode
    log = logged(trained_home)
    live = log[log["mode"] == "live"]["predicted_at"]
    assert ((live - pd.Timestamp(now)).abs() < pd.Timedelta(minutes=2)).all()
    assert len(log) == 120, "modes are different predictions"


def test_backfill_scores_played_games_and_serves_nothing(trained_home: Home) -> None:
    day = pd.Timestamp("2024-03-20").date()
    with pytest.raises(UserError, match="the next slate is 2024-03-30"):
        prediction.predict(trained_home, day)
    slate = prediction.predict(trained_home, day, mode="backfill")
    assert slate.mode == "backfill" and len(slate.rows) > 40
    assert not (trained_home.root / "serving").exists()


def test_no_scheduled_game_is_said(trained_home: Home) -> None:
    warehouse = DuckDB(trained_home.warehouse)
    small_warehouse.change(warehouse, "delete from feature_store_v1 where is_scheduled")
    with pytest.raises(UserError, match="No game is scheduled"):
        prediction.predict(trained_home)


def test_players_with_few_games_and_playoffs_are_out_of_scope(
    trained_home: Home,
) -> None:
    warehouse = DuckDB(trained_home.warehouse)
    small_warehouse.change(
        warehouse,
        "update feature_store_v1 set games_played_prior = 9"
        " where is_scheduled and player_lookup < 'player05'",
    )
    slate = prediction.predict(trained_home)
    assert (len(slate.rows), slate.skipped) == (55, 5)
    small_warehouse.change(
        warehouse,
        "update feature_store_v1 set season_type = 'playoffs'"
        " where is_scheduled and team_abbr in ('MIA', 'NYK')",
    )
    assert len(prediction.predict(trained_home).rows) == 35
    small_warehouse.change(
        warehouse,
        "update feature_store_v1 set season_type = 'playoffs' where is_scheduled",
    )
    with pytest.raises(UserError, match="No game is scheduled"):
        prediction.predict(trained_home)


def test_production_model_is_the_default(trained_home: Home) -> None:
    small_warehouse.load(trained_home.warehouse, small_warehouse.games().iloc[60:])
    from nba_ml import training

    newer = training.train(trained_home, small_warehouse.config())
    assert prediction.predict(trained_home).model_id == newer.model_id
    steps = [registry.model_event(k, "xgboost_v1.0.0") for k in ("staged", "promoted")]
    spool.write(trained_home.spool, steps)
    slate = prediction.predict(trained_home)
    assert slate.model_id == "xgboost_v1.0.0"
    assert set(slate.rows["variant"]) == {"production"}
    assert registry.status(trained_home)["live_model_id"] == "xgboost_v1.0.0"
    chosen = prediction.predict(trained_home, model_id=newer.model_id)
    assert set(chosen.rows["variant"]) == {"candidate"}
    with pytest.raises(UserError, match="known: xgboost_v1.0.0, xgboost_v1.1.0"):
        prediction.predict(trained_home, model_id="xgboost_v9.0.0")


def test_without_a_model_the_next_step_is_named(home: Home) -> None:
    with pytest.raises(UserError, match="nba-ml train"):
        prediction.predict(home)


def test_command_prints_table_and_json(trained_home: Home) -> None:
    result = CliRunner().invoke(cli, ["predict", "--date", "2024-03-30"])
    assert result.exit_code == 0, result.output
    assert "60 predictions for 2024-03-30 by xgboost_v1.0.0 (replay)" in result.stdout
    assert "20240330_" in result.stdout
    result = CliRunner().invoke(cli, ["predict", "--json"])
    assert len(json.loads(result.stdout)["predictions"]) == 60


# strictness


def test_why_is_told_from_what_the_log_has(trained_home: Home) -> None:
    [row] = prediction.predict(trained_home, why="player07").why
    parts = row["contributions"]
    total = row["expected_points"] + sum(parts.values())
    assert abs(total - row["predicted_points"]) < 0.001
    log = logged(trained_home).set_index("player_lookup")
    features = pd.DataFrame([json.loads(log.at["player07", "features"])], dtype=float)
    [again] = load(trained_home).contributions(artefact.feature_matrix(features, NAMES))
    assert dict(zip(NAMES, again[:-1], strict=True)) == parts
    command = ["predict", "--why", "player07"]
    told = " ".join(CliRunner().invoke(cli, command).output.split())
    assert f"why player07 value {row['predicted_points']:.2f}" in told
    assert f"expected of anybody {row['expected_points']:+.2f}" in told
    assert f"noise 1.000 {parts['noise']:+.2f}" in told
    found = json.loads(CliRunner().invoke(cli, [*command, "--json"]).output)
    assert found["why"][0]["contributions"] == parts


def test_why_of_an_unknown_player_is_an_error_and_logs_nothing(
    trained_home: Home,
) -> None:
    done = CliRunner().invoke(cli, ["predict", "--why", "nobody"])
    assert done.exit_code == 1 and "nobody is not expected" in done.output
    assert logged(trained_home).empty


def test_contributions_sum_to_what_is_clamped(trained_home: Home) -> None:
    model = load(trained_home)
    model.booster.set_param({"base_score": 100})
    store = artefact.feature_matrix(rows(trained_home), NAMES)
    sums = model.contributions(store).sum(axis=1)
    assert np.allclose(sums, model.booster.inplace_predict(store), atol=0.001)


def test_missing_column_is_an_error_never_filled(trained_home: Home) -> None:
    model = load(trained_home)
    frame = rows(trained_home)
    with pytest.raises(UserError, match="lack noise"):
        model.predict(frame.drop(columns="noise"))
    with pytest.raises(UserError, match="not a number"):
        model.predict(frame.assign(noise="1"))
    with pytest.raises(UserError, match="Infinite values in noise"):
        model.predict(frame.assign(noise=np.inf))
    small_warehouse.change(
        DuckDB(trained_home.warehouse),
        "alter table feature_store_v1 drop column opponent_def_rating",
    )
    with pytest.raises(UserError, match="lack opponent_def_rating"):
        prediction.predict(trained_home)
    assert logged(trained_home).empty and not (trained_home.root / "serving").exists()


def test_features_are_taken_by_name(trained_home: Home) -> None:
    model = load(trained_home)
    frame = rows(trained_home)
    shuffled = frame[frame.columns[::-1]]
    assert (model.predict(shuffled) == model.predict(frame)).all()


def edit_manifest(home: Home, **changes: Any) -> None:
    path = model_file(home).with_suffix(".meta.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def remove_manifest(home: Home) -> None:
    model_file(home).with_suffix(".meta.json").unlink()


def other_xgboost(home: Home) -> None:
    edit_manifest(home, library_versions={"xgboost": "1.7.6"})


def other_file(home: Home) -> None:
    content = json.loads(model_file(home).read_text())
    content["learner"]["learner_model_param"]["base_score"] = "[9E0]"
    model_file(home).write_text(json.dumps(content))


def no_file(home: Home) -> None:
    model_file(home).unlink()


def unfinished_manifest(home: Home) -> None:
    path = model_file(home).with_suffix(".meta.json")
    path.write_text(path.read_text()[:100])


def swapped_with_manifest(home: Home) -> None:
    """Another model with a manifest that fits it: only the registry knows."""
    other_file(home)
    found = hashlib.sha256(model_file(home).read_bytes()).hexdigest()
    edit_manifest(home, artifact_sha256=found)


@pytest.mark.parametrize(
    ("change", "features", "message"),
    [
        (None, FeatureSet("v2", NAMES), "trained on feature version v1, .* are v2"),
        (None, FeatureSet("v1", NAMES[:-1]), "catalogue lacks noise"),
        (None, FeatureSet("v1", (*NAMES, "rest")), "catalogue adds rest"),
        (None, FeatureSet("v1", NAMES[::-1]), "order differs, first at points_avg"),
        (remove_manifest, FEATURES, "There is no .*xgboost_v1.0.0.meta.json"),
        (unfinished_manifest, FEATURES, "is no manifest"),
        (other_xgboost, FEATURES, "XGBoost 1.7.6, here is " + xgb.__version__),
        (other_file, FEATURES, "its manifest says"),
        (no_file, FEATURES, "There is no .*xgboost_v1.0.0.json"),
        (swapped_with_manifest, FEATURES, "its registry says"),
    ],
)
def test_loading_refuses_what_does_not_fit(
    trained_home: Home,
    change: Callable[[Home], None] | None,
    features: FeatureSet,
    message: str,
) -> None:
    sha256 = registry.choose(trained_home, None)["artifact_sha256"]
    load(trained_home, sha256=sha256)
    if change:
        change(trained_home)
    with pytest.raises(UserError, match=message):
        load(trained_home, features, sha256)
    if change:
        with pytest.raises(UserError, match=message):
            prediction.predict(trained_home)


def test_manifest_of_another_model_is_refused(trained_home: Home) -> None:
    path = model_file(trained_home)
    booster = xgb.Booster()
    booster.load_model(path)
    booster.feature_names = list(NAMES[::-1])
    content = bytes(booster.save_raw("json"))
    path.write_bytes(content)
    edit_manifest(trained_home, artifact_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(UserError, match="name different features"):
        load(trained_home)


def test_orphans_are_reported(trained_home: Home) -> None:
    store = trained_home.models / "staging"
    shutil.copy(model_file(trained_home), store / "xgboost_v7.0.0.json")
    (store / "xgboost_v8.0.0.lock").touch()
    model_file(trained_home).unlink()
    result = CliRunner().invoke(cli, ["status"])
    assert "xgboost_v7.0.0: has files but is not registered" in result.output
    assert "xgboost_v8.0.0: reserved" in result.output
    assert "xgboost_v1.0.0: registered, but" in result.output
