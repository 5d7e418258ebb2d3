from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from nba_ml import artefact, lineup, prediction, registry, scoring, serving
from nba_ml.lineup import Lineup
from nba_ml.serving import CONFIG, ProductionModel, ServingConfig, StagingModel
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.store import Folder, Taken

CHAMPION = ProductionModel("xgboost_v1.0.0", "production/x.json", "a" * 64)
CHALLENGER = StagingModel("xgboost_v1.1.0", "staging/y.json", "b" * 64, 0.1, "split")


# the configuration


def test_configuration_grows_by_one_and_keeps_the_one_before(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    assert serving.read_config(store) == (ServingConfig(), 0)
    first = serving.write_config(store, CHAMPION, None)
    second = serving.write_config(store, CHAMPION, CHALLENGER)
    assert (first.generation, second.generation) == (1, 2)
    assert serving.write_config(store, CHAMPION, CHALLENGER) == second, "no change"
    assert store.names() == [".writing", "model_config.1.yaml", CONFIG]
    assert serving.read_config(store)[0] == second
    kept = (tmp_path / "model_config.1.yaml").rename(tmp_path / CONFIG)
    assert serving.read_config(store)[0] == first, kept


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("generation: [", "is no serving configuration"),
        ("generation: 1\nmodel: x", "model"),
        ("generation: '1'", "generation"),
        ("generation: 1\nproduction_model: {model_id: x}", "gcs_path"),
        (
            "generation: 1\nstaging_model: {model_id: x, gcs_path: y, sha256: z,"
            " traffic_split: 1.5, mode: split}",
            "traffic_split",
        ),
        (
            "generation: 1\nproduction_model: {model_id: x, gcs_path: y, sha256: z,"
            " load_strategy: soon}",
            "load_strategy",
        ),
    ],
)
def test_configuration_is_checked_and_replaced_when_unreadable(
    tmp_path: Path, text: str, message: str
) -> None:
    store = Folder(tmp_path)
    serving.write_config(store, CHAMPION, None)
    serving.write_config(store, CHAMPION, CHALLENGER)
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(UserError, match=message):
        serving.read_config(store)
    assert serving.write_config(store, CHAMPION, None).generation > 2
    assert serving.read_config(store)[0].production_model == CHAMPION


def test_of_two_writers_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = Folder(tmp_path), Folder(tmp_path)
    serving.write_config(store, CHAMPION, None)
    read = store.read

    def read_and_lose(name: str) -> tuple[bytes, int]:
        found = read(name)
        if name == CONFIG:
            serving.write_config(other, CHAMPION, CHALLENGER)
        return found

    monkeypatch.setattr(store, "read", read_and_lose)
    with pytest.raises(Taken, match="Try again"):
        serving.write_config(store, None, None)
    assert serving.read_config(other)[0].staging_model == CHALLENGER


# the snapshot


@pytest.fixture
def served(trained_home: Home) -> Home:
    """One model and its slate; the model is the champion."""
    prediction.predict(trained_home)
    row = registry.choose(trained_home, None)
    file = (row["model_id"], row["gcs_path"], row["artifact_sha256"])
    serving.write_config(
        serving.open_serving(trained_home), ProductionModel(*file), None
    )
    return trained_home


def challenge(home: Home, split: float, mode: str, **changes: str) -> Lineup:
    """The lineup with the champion as its own challenger."""
    store = serving.open_serving(home)
    champion = serving.read_config(store)[0].production_model
    assert champion
    staged = StagingModel(
        champion.model_id,
        champion.gcs_path,
        champion.sha256,
        split,
        mode,
    )
    serving.write_config(store, champion, replace(staged, **changes))
    return lineup.load(home)


def test_a_damaged_snapshot_is_refused(served: Home) -> None:
    store = serving.open_serving(served)
    pointer = serving.read_pointer(store, "v1")
    path = served.root / "serving" / pointer.path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not the file that was published"):
        lineup.load(served)
    path.unlink()
    prediction.predict(served)
    lineup.load(served)
    pointer_path = served.root / "serving/features_v1.json"
    pointer_path.write_text(json.dumps({"path": pointer.path}))
    with pytest.raises(UserError, match="is no pointer.*nba-ml predict"):
        lineup.load(served)
    pointer_path.unlink()
    with pytest.raises(UserError, match="No features of version v1 are published"):
        lineup.load(served)


def test_the_whole_slate_is_answered_as_predict_does(served: Home) -> None:
    found = lineup.load(served)
    answers, extra = found.answer("request")
    assert len(answers) == 60 and not extra
    slate = prediction.predict(served).rows.set_index("player_lookup")
    for row in answers:
        assert (
            row["predicted_points"]
            == slate.at[row["player_lookup"], "predicted_points"]
        )
    again, _ = found.answer("request")
    ids = [row["prediction_id"] for row in answers]
    assert ids == [row["prediction_id"] for row in again]
    [one], _ = found.answer("other", [("player07", None)])
    assert one["prediction_id"] not in ids


# the lineup


def test_who_is_not_in_the_slate_is_told_why(served: Home) -> None:
    store = serving.open_serving(served)
    pointer = serving.read_pointer(store, "v1")
    snapshot = serving.read_snapshot(store, pointer)
    rows = snapshot.rows.assign(
        games_played_prior=snapshot.rows["games_played_prior"].where(
            snapshot.rows["player_lookup"] != "player03", 9
        )
    )
    twice = rows[rows["player_lookup"] == "player04"].assign(game_id="20240330_X_Y")
    model = lineup.load(served).champion.scorer.model
    scorer = scoring.Scorer(model, replace(snapshot, rows=pd.concat([rows, twice])))
    with pytest.raises(scoring.UnknownPlayer, match="nobody is not expected in a game"):
        scorer.position("nobody")
    with pytest.raises(scoring.UnknownPlayer, match="played 9 games .* 10 or more"):
        scorer.position("player03")
    with pytest.raises(scoring.UnknownPlayer, match="name one as game_id"):
        scorer.position("player04")
    assert scorer.key(scorer.position("player04", "20240330_X_Y"))[1] == "20240330_X_Y"
    with pytest.raises(lineup.NotServed, match="the slate is 2024-03-30"):
        lineup.load(served).answer("request", game_date="2024-03-31")


def test_a_lineup_is_the_same_until_something_changes(served: Home) -> None:
    first = lineup.load(served)
    assert lineup.load(served, first) is first
    second = challenge(served, 0.5, "split")
    assert second.config.generation == 2
    third = lineup.load(served, first)
    assert third.champion is first.champion, "the model is not loaded again"
    assert third.challenger and third.challenger.model is first.champion.model


def test_buckets_are_those_of_the_golden_vectors() -> None:
    vectors = pd.read_csv(PROJECT / "seeds/experiment_bucket_vectors.csv")
    for row in vectors.itertuples():
        assert (
            abs(scoring.bucket(row.experiment, row.player_lookup) - row.bucket) < 1e-9
        )


def test_a_split_answers_by_bucket_and_a_shadow_answers_nobody(served: Home) -> None:
    split = challenge(served, 0.3, "split")
    answers, extra = split.answer("request")
    assert len(answers) == 60 and not extra
    for row in answers:
        is_below = scoring.bucket(row["model_id"], row["player_lookup"]) < 0.3
        assert row["variant"] == ("staging" if is_below else "production")
    assert {row["variant"] for row in answers} == {"staging", "production"}
    order = [row["player_lookup"] for row in answers]
    assert order == [split.champion.scorer.key(i)[0] for i in range(60)]
    shadow = challenge(served, 0.3, "shadow")
    answers, extra = shadow.answer("request")
    assert {row["variant"] for row in answers} == {"production"}
    assert {row["variant"] for row in extra} == {"staging"}
    assert len(answers) == len(extra) == 60
    ids = {row["prediction_id"] for row in [*answers, *extra]}
    assert len(ids) == 120, "one id for each prediction"


def test_a_challenger_that_cannot_play_stays_on_the_bench(served: Home) -> None:
    found = challenge(served, 0.3, "split", sha256="0" * 64)
    assert found.challenger is None
    assert "is not the file that was trained" in found.problems[0]
    assert {row["variant"] for row in found.answer("request")[0]} == {"production"}


def test_without_a_champion_nothing_is_served(served: Home) -> None:
    store = serving.open_serving(served)
    serving.write_config(store, None, None)
    with pytest.raises(lineup.NoModel, match="nba-ml deploy"):
        lineup.load(served)


def test_a_lazy_model_is_read_when_it_is_asked_for(served: Home) -> None:
    store = serving.open_serving(served)
    champion = serving.read_config(store)[0].production_model
    assert champion
    serving.write_config(store, replace(champion, load_strategy="lazy"), None)
    found = lineup.load(served)
    assert not found.champion.is_loaded
    found.answer("request", [("player07", None)])
    assert found.champion.is_loaded


def test_scoring_without_a_dmatrix_gives_the_same_bits(served: Home) -> None:
    scorer = lineup.load(served).champion.scorer
    rows, names = scorer.snapshot.rows, scorer.model.manifest.feature_names
    matrix = artefact.feature_matrix(rows, names)
    assert (scorer.model.score(matrix) == scorer.model.predict(rows)).all()
    one_by_one = [scorer.model.score(matrix[[i]])[0] for i in range(len(rows))]
    assert one_by_one == scorer.model.predict(rows).tolist()
