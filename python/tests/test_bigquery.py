"""The project on BigQuery's API: built by dbt-bigquery, used by Google's client.

Real BigQuery is out of reach here. An emulator answers; that the SQL is valid
GoogleSQL is shown by test_google_analyzer.py.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from google.api_core.exceptions import PermissionDenied
from google.cloud.bigquery import Client

import google_analyzer
import small_warehouse
from bigquery_emulator import TARGET, emulator
from engines import Engines, differences
from nba_ml import (
    alerting,
    artefact,
    backtest,
    bigquery,
    contracts,
    deployment,
    prediction,
    retraining,
    spool,
    training,
)
from nba_ml.bigquery import BigQuery
from nba_ml.cli import cli
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve
from nba_simulator import league

# names of the client's schemas, as GoogleSQL writes them
TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """One simulated season on both engines, the whole project built and tested."""
    home = Home(tmp_path_factory.mktemp("engines"))
    league.simulate(home.raw, seasons=1)
    as_of = (home.raw / "as_of").read_text().strip()
    add_optional_sources(home.raw)
    folder = tmp_path_factory.mktemp("emulator")
    with emulator(folder) as running, pytest.MonkeyPatch.context() as patch:
        both = Engines(home, running, as_of)
        for name, value in both.variables.items():
            patch.setenv(name, value)
        patch.setattr(BigQuery, "storage", running.storage_client())
        both.record(patch)
        command("import", str(home.raw))
        both.dbt("duckdb", "build", "--exclude-resource-types", "test", "unit_test")
        both.dbt(TARGET, "build")
        yield both


def add_optional_sources(raw: Path) -> None:
    """A user's composite factors and graded predictions for part of the games."""
    games = pd.read_parquet(raw / "player_game_summary.parquet")
    late = games[games["points"].notna() & (games["game_date"].astype(str) > "2025-03")]
    keys = late[["player_lookup", "game_id", "game_date"]].reset_index(drop=True)
    number = np.arange(len(keys))
    keys.assign(
        fatigue_score=60 + number % 40,
        shot_zone_mismatch_score=(number % 19 - 9).astype(float),
        pace_score=(number % 5 - 2).astype(float),
        usage_spike_score=(number % 3 - 1).astype(float),
    ).to_parquet(raw / "player_composite_factors.parquet")
    graded = keys.assign(
        system_id="theirs",
        predicted_points=(number % 23).astype(float),
        graded_at=pd.Timestamp("2025-04-12 09:30"),
    )
    pd.concat([graded, graded.head(50)]).to_parquet(raw / "prediction_accuracy.parquet")


def command(*arguments: str, target: str = TARGET) -> Result:
    """One command of nba-ml, which must succeed."""
    done = CliRunner().invoke(cli, [*arguments, "--target", target])
    assert done.exit_code == 0, done.output
    return done


def test_a_planted_difference_between_the_engines_is_found(engines: Engines) -> None:
    frame = engines.duckdb.read("select * from int_player_form")
    assert differences("int_player_form", frame, frame.sample(frac=1)) == []
    other = frame.copy()
    other.loc[7, "points_avg_last_10"] *= 1 + 3e-9
    [found] = differences("int_player_form", frame, other)
    assert "points_avg_last_10: 1 of" in found
    assert differences("int_player_form", frame, frame.iloc[1:])
    other = frame.assign(player_lookup=frame["player_lookup"].str.upper())
    assert differences("int_player_form", frame, other)


def test_dbt_docs_describe_the_tables_of_bigquery(engines: Engines) -> None:
    engines.dbt(TARGET, "docs", "generate")
    found = json.loads(
        (engines.home.root / f"target-{TARGET}/catalog.json").read_text()
    )
    assert not found["errors"]
    node = found["nodes"]["model.nba_ml.feature_store.v1"]
    assert len(node["columns"]) > 25


def test_the_store_is_partitioned_clustered_and_described(engines: Engines) -> None:
    table = engines.bigquery.client.get_table("local.nba_ml.feature_store_v1")
    assert table.time_partitioning.field == "game_date"
    assert table.clustering_fields == ["player_lookup"]
    assert "One row per player and game" in table.description
    undescribed = [field.name for field in table.schema if not field.description]
    assert undescribed == []


def test_our_dataset_is_the_only_one_that_dbt_writes_to(engines: Engines) -> None:
    client = engines.bigquery.client
    sources = {t.relation for t in contracts.tables().values()}
    for dataset in {table.dataset for table in contracts.tables().values()}:
        if any(found.dataset_id == dataset for found in client.list_datasets()):
            there = {f"{dataset}.{t.table_id}" for t in client.list_tables(dataset)}
            assert there <= sources


def test_both_engines_give_the_same_training_frame(engines: Engines) -> None:
    config = small_warehouse.config()
    one = training.read_frame(engines.duckdb, config, small_warehouse.LATER)
    other = training.read_frame(engines.bigquery, config, small_warehouse.LATER)
    assert len(one) > 20_000
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture(scope="module")
def trained(engines: Engines) -> training.Trained:
    """A model trained on DuckDB under an earlier clock, its replay of the weeks since
    and its predictions of the slate: their events on both engines, and what is watched.
    """
    one, other = Home(engines.home.root, "duckdb"), Home(engines.home.root, TARGET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "try_sync", lambda home, written: (True, []))
        with pytest.MonkeyPatch.context() as earlier:
            earlier.setenv("NBA_ML_AS_OF", TRAINED_AT)
            done = training.train(one, small_warehouse.config())
        configs = {name: small_warehouse.config() for name in ("champion", "twin")}
        backtest.run(one, configs, backtest.Plan("month", count=1), print)
        kept = shutil.copytree(one.spool, one.root / "kept")
        spool.sync(one)
        prediction.predict(one)
        prediction.replay(one, date.fromisoformat(TRAINED_AT[:10]))
    shutil.copytree(one.spool, kept, dirs_exist_ok=True)
    counts = []
    for home in (one, other):
        shutil.copytree(kept, home.spool, dirs_exist_ok=True)
        counts.append(spool.sync(home).rows)
    assert counts[1]["model_events"] == 1 and counts[1]["prediction_log"] > 4_000
    assert counts[0] == {**counts[1], **dict.fromkeys(counts[0], 0)} | {
        "prediction_log": counts[1]["prediction_log"]
    }
    watch(engines)
    return done


def watch(engines: Engines) -> None:
    """Bring the monitoring of both engines up to date."""
    for target in ("duckdb", TARGET):
        engines.dbt(target, "run", "-s", "path:models/monitoring")


# with four weeks of the season to come
TRAINED_AT = "2025-03-14T12:00:00"
# Nothing of these happened, or no row of the simulated league breaks a contract.
EMPTY = {"rejected_rows", "model_comparison", "model_live_periods", "request_log"}
EMPTY |= {"experiment_periods", "experiment_predictions", "experiment_results"}
EMPTY |= {"deployment_watch", "parity_mismatches", "request_performance_daily"}
EMPTY |= {"health_checks", "alert_messages", "retraining_runs", "retraining_obstacles"}


def test_every_relation_has_the_same_rows_on_both_engines(
    engines: Engines, trained: training.Trained
) -> None:
    names = engines.relations()
    assert len(names) > 38
    assert [d for name in names for d in engines.differences(name)] == []
    sql = " union all ".join(
        f"select '{name}' as name, count(*) as n from {name}" for name in names
    )
    counts = engines.bigquery.read(sql)
    assert set(counts.loc[counts["n"] == 0, "name"]) == EMPTY
    registered = engines.bigquery.read("select * from model_registry")
    assert list(registered["model_id"]) == [trained.model_id]
    assert len(registered["feature_list"].iloc[0]) == registered["num_features"].iloc[0]


def test_a_second_build_changes_no_row(
    engines: Engines, trained: training.Trained
) -> None:
    engines.dbt(TARGET, "build", "--exclude-resource-types", "test", "unit_test")
    assert [d for n in engines.relations() for d in engines.differences(n)] == []


def test_a_batch_that_is_delivered_twice_adds_nothing(
    engines: Engines, trained: training.Trained
) -> None:
    home = Home(engines.home.root, TARGET)
    shutil.copytree(home.root / "kept", home.spool, dirs_exist_ok=True)
    assert set(spool.sync(home).rows.values()) == {0}
    assert spool.pending(home.spool) == []


def test_training_on_bigquery_gives_the_same_model(
    engines: Engines, trained: training.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, config = Home(engines.home.root, TARGET), small_warehouse.config()
    monkeypatch.setenv("NBA_ML_AS_OF", TRAINED_AT)
    again = training.train(home, config, if_changed=True)
    assert not again.is_new and again.model_id == trained.model_id
    forced = training.train(home, config, force=True)
    assert forced.model_id == "xgboost_v1.0.1" and forced.is_synced
    assert forced.manifest.metrics == trained.manifest.metrics
    assert forced.manifest.artifact_sha256 == trained.manifest.artifact_sha256
    compared = command("status", "--compare", trained.model_id, forced.model_id)
    assert "0.000" in compared.output


def test_predictions_are_the_same_on_both_engines(
    engines: Engines, trained: training.Trained
) -> None:
    slates = [
        prediction.predict(Home(engines.home.root, target), model_id=trained.model_id)
        for target in ("duckdb", TARGET)
    ]
    own = ["dbt_invocation_id", "inference_time_ms"]
    frames = [slate.rows.drop(columns=own) for slate in slates]
    assert len(frames[0]) > 300
    pd.testing.assert_frame_equal(*frames, check_exact=True)
    # they were logged before, and are not logged again
    logged = engines.bigquery.read(
        "select prediction_id from prediction_log where game_date = ?",
        [slates[0].game_date],
    )
    assert sorted(logged["prediction_id"]) == sorted(frames[0]["prediction_id"])


def test_the_commands_work_on_bigquery(
    engines: Engines, trained: training.Trained
) -> None:
    assert "predictions for 2025-04-13 by xgboost_v1" in command("predict").output
    status = json.loads(command("status", "--json").stdout)
    assert status["warehouse"] == "local.nba_ml"
    assert trained.model_id in {model["model_id"] for model in status["models"]}
    assert "0 files loaded" in command("sync").output
    again = command("train", "--if-changed", "--config", str(tuned(engines)))
    assert "covers these rows" not in again.output  # another configuration: trained
    assert "xgboost_v1.1.0 registered" in again.output


def tuned(engines: Engines) -> Path:
    """A configuration of the project's with few trees."""
    source = Path(__file__).parents[1] / "config/training_v1.yml"
    text = source.read_text().replace("num_boost_round: 2000", "num_boost_round: 20")
    path = engines.home.root / "training.yml"
    path.write_text(text)
    return path


def test_alerts_and_retraining_work_on_bigquery(
    engines: Engines, trained: training.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, told = Home(engines.home.root, TARGET), []
    monkeypatch.setattr(alerting, "post", lambda url, text: told.append(text))
    looked = engines.bigquery.read("select count(*) as n from health_checks")
    assert alerting.look(home) == []
    again = engines.bigquery.read("select count(*) as n from health_checks")
    assert again["n"].iloc[0] == looked["n"].iloc[0] + 1
    is_open = [alert for alert in alerting.read(home, True) if alert["is_open"]]
    assert alerting.tell(home, "http://127.0.0.1") == len(told) == len(is_open)
    assert alerting.tell(home, "http://127.0.0.1") == 0
    small = replace(small_warehouse.config(), num_boost_round=5)
    run = retraining.retrain(home, small, tell=told.append)
    assert run.outcome in ("registered", "gates_failed"), run.explanation
    assert run.explanation in told[-1]
    assert retraining.retrain(home, small, if_due=True).outcome == "not_due"
    runs = engines.bigquery.read("select * from retraining_runs order by trigger")
    assert set(runs["outcome"]) == {"not_due", run.outcome}
    assert run.model_id in set(runs["model_id"])


def test_check_tells_what_the_source_tables_hold(engines: Engines) -> None:
    found = json.loads(command("check", "--json").stdout)["tables"]
    tables = {one["table"]: one for one in found}
    scores = tables["player_game_summary"]
    assert scores["rows"] > 30_000 and scores["ok"] and not scores["violations"]
    assert "win_flag" in scores["missing"] and not scores["missing_required"]
    assert {c["column"] for c in scores["constants"]} >= {"season_type"}
    assert tables["prediction_accuracy"]["duplicate_keys"] == 50
    assert tables["player_availability"]["files"] == [
        "nba_analytics.player_availability"
    ]
    # the same look at the files that were imported
    files = json.loads(command("check", str(engines.home.raw), "--json").stdout)
    [local] = [t for t in files["tables"] if t["table"] == "player_game_summary"]
    for what in ("rows", "null_rates", "constants", "found", "missing", "first_date"):
        assert scores[what] == local[what], what


def test_check_reports_broken_and_constant_columns(engines: Engines) -> None:
    theirs = replace(
        contracts.tables()["player_composite_factors"], dataset="somebodys"
    )
    engines.bigquery.client.create_dataset("somebodys")
    small_warehouse.change(
        engines.bigquery,
        "create table somebodys.player_composite_factors as select"
        " player_lookup, game_id, game_date, 20 as fatigue_score, 1.5 as pace_score,"
        " 0.5 as shot_zone_mismatch_score, 0.0 as usage_spike_score, 7 as theirs"
        " from nba_analytics.player_game_summary union all"
        " select player_lookup, game_id, game_date, 150, 1.5, 0.5, 0.0, 7"
        " from nba_analytics.player_game_summary where points > 40",
    )
    tables = {**contracts.tables(), theirs.name: theirs}
    with mock.patch.object(contracts, "tables", lambda: tables):
        done = CliRunner().invoke(cli, ["check", "--json", "--target", TARGET])
    assert done.exit_code == 1
    found = json.loads(done.stdout)["tables"]
    [factors] = [t for t in found if t["table"] == "player_composite_factors"]
    assert factors["duplicate_keys"] > 0 and "theirs" in factors["extra"]
    assert "pace_score" in {c["column"] for c in factors["constants"]}
    assert any("above 100" in v["rule"] for v in factors["violations"])


def test_import_replaces_its_own_tables_and_writes_in_no_other_dataset(
    engines: Engines,
) -> None:
    schedule = "nba_analytics.game_schedule"
    before = engines.bigquery.read(f"select * from {schedule}")
    command("import", str(engines.home.raw / "game_schedule.parquet"))
    after = engines.bigquery.read(f"select * from {schedule}")
    assert differences("game_schedule", before, after) == []
    # one dataset of somebody else, and nothing is written to any
    changed = pd.read_parquet(engines.home.raw / "game_schedule.parquet").head(9)
    changed.to_parquet(engines.home.root / "game_schedule.parquet")
    describe(engines, "nba_predictions", "Somebody's own.")
    files = [engines.home.root / "game_schedule.parquet"]
    files += [engines.home.raw / "prediction_accuracy.parquet"]
    try:
        done = CliRunner().invoke(cli, ["import", *map(str, files), "--target", TARGET])
        assert done.exit_code == 1
        assert "local.nba_predictions was not made by nba-ml import" in done.output
        left = engines.bigquery.read(f"select * from {schedule}")
        assert differences("game_schedule", before, left) == []
    finally:
        describe(engines, "nba_predictions", bigquery.IMPORTED)


def describe(engines: Engines, name: str, description: str) -> None:
    dataset = engines.bigquery.client.get_dataset(name)
    dataset.description = description
    engines.bigquery.client.update_dataset(dataset, ["description"])


def test_timestamps_are_loaded_as_timestamps(engines: Engines) -> None:
    table = engines.bigquery.client.get_table("nba_analytics.game_schedule")
    kinds = {field.name: field.field_type for field in table.schema}
    assert kinds["tip_off_at"] == "TIMESTAMP" and kinds["game_date"] == "DATE"


def test_a_broken_file_changes_no_table(engines: Engines, tmp_path: Path) -> None:
    frame = pd.read_parquet(engines.home.raw / "player_game_summary.parquet")
    frame.assign(points=999).to_parquet(tmp_path / "player_game_summary.parquet")
    done = CliRunner().invoke(cli, ["import", str(tmp_path), "--target", TARGET])
    assert done.exit_code == 1 and "nothing was imported" in done.output
    rows = engines.bigquery.read(
        "select max(points) as most from nba_analytics.player_game_summary"
    )
    assert rows["most"].iloc[0] < 110


def test_frozen_clock_is_refused_on_bigquery(engines: Engines) -> None:
    done = CliRunner().invoke(
        cli, ["import", str(engines.home.raw), "--frozen-clock", "--target", TARGET]
    )
    assert done.exit_code == 1 and "NBA_ML_AS_OF" in done.output


def test_the_storage_api_and_the_plain_one_give_the_same(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "select * from training_set order by game_id, player_lookup"
    ask = Client.query_and_wait

    def in_pages(client: Client, *arguments: Any, **options: Any) -> Any:
        # BigQuery's first page is a part of a large result, the emulator's all of it
        return ask(client, *arguments, **options, page_size=100)

    monkeypatch.setattr(Client, "query_and_wait", in_pages)
    spy = mock.Mock(wraps=engines.emulator.storage_client())
    monkeypatch.setattr(BigQuery, "storage", spy)
    by_storage = engines.bigquery.read(sql)
    assert spy.create_read_session.called and len(by_storage) > 20_000
    refusing = mock.Mock()
    refusing.create_read_session.side_effect = PermissionDenied("no such role")
    monkeypatch.setattr(BigQuery, "storage", refusing)
    refused = engines.bigquery.read(sql)
    pd.testing.assert_frame_equal(by_storage, refused, check_exact=True)
    assert refusing.create_read_session.called


def test_models_and_files_agree(engines: Engines, trained: training.Trained) -> None:
    registered = engines.bigquery.read("select model_id, gcs_path from model_registry")
    for model_id, path in registered.itertuples(index=False):
        manifest = artefact.read_manifest(*resolve(engines.home, path))
        assert manifest.model_id == model_id


def test_a_deployment_on_bigquery_is_the_same_on_both_engines(
    engines: Engines, trained: training.Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Home(engines.home.root, "duckdb"), Home(engines.home.root, TARGET)
    sync, kept = spool.sync, one.root / "deployed"

    def sync_and_keep(home: Home) -> spool.Synced:
        shutil.copytree(home.spool, kept, dirs_exist_ok=True)
        return sync(home)

    monkeypatch.setattr(spool, "sync", sync_and_keep)
    plan = deployment.Plan(watch=0, force="few test rows")
    done = deployment.deploy(other, trained.model_id, plan)
    assert (done.status, done.live_model_id) == ("production", trained.model_id)
    monkeypatch.undo()
    shutil.copytree(kept, one.spool, dirs_exist_ok=True)
    assert sync(one).problems == []
    # the deployed features are those of BigQuery's build
    [build] = engines.bigquery.read("select * from build_info").to_dict("records")
    known = engines.duckdb.read("select dbt_invocation_id as id from build_info")
    name_build = "update build_info set dbt_invocation_id = ? where true"
    small_warehouse.change(engines.duckdb, name_build, [build["dbt_invocation_id"]])
    # other tests trained models on one engine alone
    names = ("request_log", "deployment_watch", "parity_mismatches", "model_registry")
    names += ("model_transitions", "model_live_periods")
    both = (engines.duckdb, engines.bigquery)

    def differ(name: str) -> list[str]:
        sql = f"select * from {name} where model_id = ?"
        frames = [warehouse.read(sql, [trained.model_id]) for warehouse in both]
        return differences(name, *frames)

    assert [d for name in names for d in differ(name)] == []
    checks = engines.bigquery.read("select * from deployment_watch")
    assert len(checks) == 4 and checks["has_passed"].all()
    asked = engines.bigquery.read("select count(*) as n from request_log")
    assert asked["n"].iloc[0] > 200
    assert engines.bigquery.read("select * from parity_mismatches").empty
    # what is watched of a model and of its four weeks of replay
    watch(engines)
    watched = ("prediction_operations_daily", "request_performance_daily")
    watched += ("alert_checks", "alerts")
    assert [d for name in watched for d in differ(name)] == []
    rules = engines.bigquery.read("select distinct rule from alert_checks")["rule"]
    assert {"bias", "prediction_count", "slow_requests"} <= set(rules)
    # a vector that says otherwise is found by both
    changed = "update prediction_log set features = replace(features, ?, ?)"
    texts = ['"is_home": 1.0', '"is_home": 0.5']
    for warehouse in both:
        small_warehouse.change(
            warehouse, f"{changed} where request_id is not null", texts
        )
        assert len(warehouse.read("select * from parity_mismatches")) > 100
    assert differ("parity_mismatches") == []
    small_warehouse.change(engines.duckdb, name_build, [known["id"].iloc[0]])


def test_an_unbuilt_relation_is_named_with_the_next_step(engines: Engines) -> None:
    with pytest.raises(UserError, match="no_such_model is not built in local.nba_ml"):
        engines.bigquery.read("select * from no_such_model")
    with pytest.raises(UserError, match="Unrecognized name: no_such_column"):
        engines.bigquery.read("select no_such_column from feature_store")


def test_all_sql_of_python_is_googlesql(engines: Engines) -> None:
    """The last test: it looks at what the others made Python ask."""
    analyzer = google_analyzer.Analyzer()
    for table in contracts.tables().values():
        columns = {column.name: column.type for column in table.columns}
        analyzer.add_table(table.relation, columns)
    client = engines.bigquery.client
    for found in client.list_tables("nba_ml"):
        columns = {}
        for field in client.get_table(found).schema:
            kind = TYPES.get(field.field_type, field.field_type)
            is_array = field.mode == "REPEATED"
            columns[field.name] = f"array<{kind}>" if is_array else kind
        analyzer.add_table(found.table_id, columns)
    refused, inserts = [], 0
    for sql, types in engines.asked.items():
        if re.search("no_such|somebodys|^create", sql):
            continue  # asked by the tests alone
        inserts += sql.startswith("insert")
        try:
            analyzer.check(sql, types)
        except google_analyzer.Rejected as error:
            refused.append(f"{error}: {sql}")
    assert refused == []
    # as many as the tests before this one asked
    assert engines.asked and inserts >= 6
    with pytest.raises(google_analyzer.Rejected):
        analyzer.check("select * from model_registry where status ilike 'x'")
