from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import small_warehouse
from nba_ml import artefact, backtest, evaluation, training
from nba_ml.backtest import Plan
from nba_ml.cli import cli
from nba_ml.settings import PROJECT, Home, UserError
from nba_ml.training import Config, Window
from nba_ml.warehouse import DuckDB

CONFIG = PROJECT / "python/config/training.yml"
FEATURES = artefact.FeatureSet("v1", tuple(small_warehouse.FEATURES))


def frame_of(home: Home) -> pd.DataFrame:
    return training.read_frame(
        DuckDB(home.warehouse), small_warehouse.config(), small_warehouse.LATER
    )


def run(home: Home, plan: Plan | None = None, **configs: Config) -> backtest.Backtest:
    configs = configs or {"champion": small_warehouse.config()}
    return backtest.run(home, configs, plan or Plan(), lambda line: None)


def read(home: Home, sql: str) -> pd.DataFrame:
    return DuckDB(home.warehouse).read(sql)


def written(folder: Path, name: str, **changes: Any) -> str:
    """A configuration file with few trees."""
    content = yaml.safe_load(CONFIG.read_text())
    content |= {"num_boost_round": 20, "early_stopping_rounds": 5}
    content |= {"feature_version": "v1", "earlier_seasons": False}
    content["parameters"] |= {"learning_rate": 0.2, "colsample_bytree": 1.0, **changes}
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


# folds


def test_folds_are_whole_seasons_or_months(built: Home) -> None:
    frame = frame_of(built)
    [last] = backtest.folds(frame, Plan())  # nothing is known before the first season
    assert last.name == "2023-24"
    assert [f"{day:%Y-%m-%d}" for day in (last.start, last.end)] == [
        "2023-10-20",
        "2024-03-26",
    ]

    def names(**plan: Any) -> list[str]:
        return [fold.name for fold in backtest.folds(frame, Plan("month", **plan))]

    assert names() == ["2024-01", "2024-02", "2024-03"]
    assert names(count=2) == ["2024-02", "2024-03"]
    assert names(since=date(2023, 12, 3)) == ["2024-01", "2024-02", "2024-03"]
    # the last game of February was on the 27th, or the 29th of another year
    assert names(until=date(2024, 2, 28)) == ["2023-11", "2023-12", "2024-01"]
    assert names(until=date(2024, 2, 29), count=1) == ["2024-02"]
    with pytest.raises(UserError, match="No whole month .* The rows have: 2022-10, "):
        names(since=date(2024, 2, 3), until=date(2024, 3, 1))


def test_each_fold_is_trained_on_what_was_before_it(built: Home) -> None:
    frame, config = frame_of(built), small_warehouse.config()
    for fold in backtest.folds(frame, Plan("month")):
        parts = backtest.parts(frame, fold, config)
        known = pd.concat([parts.train, parts.validation])
        assert known["game_date"].max() < fold.start
        assert len(known) == (frame["game_date"] < fold.start).sum()
        # 0.15 of 0.70 + 0.15
        assert len(parts.validation) / len(known) == pytest.approx(0.1765, abs=0.01)
        assert parts.train["game_date"].max() < parts.validation["game_date"].min()
        assert set(parts.test["game_date"].dt.strftime("%Y-%m")) == {fold.name}


def test_the_window_moves_back_with_the_fold(built: Home) -> None:
    frame = frame_of(built)
    [fold] = backtest.folds(frame, Plan())
    config = small_warehouse.config()
    # this season alone, and so the season before the fold
    config = replace(config, window=Window(date(2023, 10, 20), None))
    assert len(backtest.parts(frame, fold, config).train) > 3_000
    # from the first day of 2023 on, so the year before: one half of the season
    short = replace(config, window=Window(date(2024, 1, 1), None))
    with pytest.raises(UserError, match="2023-24 has 2,.* before 2023-10-20"):
        backtest.parts(frame, fold, short)
    parts = backtest.parts(frame, fold, replace(short, earlier_seasons=True))
    assert parts.train["game_date"].min() == frame["game_date"].min()
    assert parts.extra == (frame["game_date"] < "2023-01-01").sum()
    assert parts.validation["game_date"].min() > pd.Timestamp("2023-01-01")


# nothing of the fold may leak


def test_planted_rows_of_the_fold_are_caught(
    built: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, config = frame_of(built), small_warehouse.config()
    [fold] = backtest.folds(frame, Plan())
    backtest.parts(frame, fold, config)
    day = frame["game_date"]
    for leak in (frame, frame[day <= fold.start]):
        monkeypatch.setattr(backtest, "before", lambda *_, leak=leak: leak)
        with pytest.raises(UserError, match="overlaps"):
            backtest.parts(frame, fold, config)


def test_shuffled_dates_are_caught(built: Home) -> None:
    frame, config = frame_of(built), small_warehouse.config()
    shuffled = frame["game_date"].sample(frac=1, random_state=1).to_numpy()
    shuffled = frame.assign(game_date=shuffled).sort_values("game_date")
    fold = backtest.folds(shuffled, Plan("month"))[-1]
    with pytest.raises(UserError, match="2024-03 .* would leak"):
        backtest.parts(shuffled, fold, config)
    # one game that came in under an earlier date
    late = frame["game_id"].str.startswith("20240312")
    moved = frame["game_date"].mask(late, pd.Timestamp("2024-02-01"))
    moved = frame.assign(game_date=moved).sort_values("game_date")
    with pytest.raises(UserError, match="a game of 20240302, .* one of 20240312"):
        backtest.parts(moved, backtest.folds(moved, Plan("month"))[-1], config)


def test_the_future_changes_no_prediction(home: Home, built: Home) -> None:
    plan = Plan("month", until=date(2024, 2, 29), count=1)
    run(home, plan)
    frame = small_warehouse.games()
    later = frame["game_date"] >= "2024-02-01"
    rest = ~frame["is_scheduled"]
    frame.loc[later & rest, "target_points"] = 60
    small_warehouse.load(home.warehouse, frame)
    run(home, plan)
    sql = "select * from backtest_results order by game_id, player_lookup"
    _, one = zip(*read(home, sql).groupby("backtest_id"), strict=True)
    columns = ["game_id", "player_lookup", "predicted_points", "predicted_high"]
    first, second = (part[columns].reset_index(drop=True) for part in one)
    assert len(first) > 500
    pd.testing.assert_frame_equal(first, second)


# what is recorded


def test_the_views_agree_with_an_oracle(home: Home) -> None:
    done = run(home)
    assert done.is_synced and not done.notes
    frame, config = frame_of(home), small_warehouse.config()
    [fold] = backtest.folds(frame, Plan())
    parts = backtest.parts(frame, fold, config)
    stored = read(home, "select * from backtest_results")
    assert set(stored["fold"]) == {"2023-24"}
    assert set(stored["training_rows"]) == {len(parts.train) + len(parts.validation)}
    assert len(stored) == len(parts.test)
    expected = backtest.predicted(parts, config, FEATURES)
    both = stored.merge(expected, on=backtest.KEYS, suffixes=("", "_expected"))
    assert (both["predicted_points"] == both["predicted_points_expected"]).all()
    rows = parts.test.merge(stored[[*backtest.KEYS, "predicted_points"]])
    rows = rows.rename(columns={"predicted_points": "model"})
    levels = evaluation.Levels(edges=[], low=[0.0], high=[0.0], within_5=[0.0])
    oracle = {
        (m["population"], m["predictor"]): m["value"]
        for m in evaluation.metrics(rows, levels, seed=0)
        if m["metric"] == "mae"
    }
    found = read(home, "select * from backtest_performance where fold = '2023-24'")
    assert len(found) == 6
    for row in found.itertuples():
        for predictor in evaluation.BASELINES:
            value = getattr(row, f"{predictor}_mae")
            assert value == pytest.approx(oracle[row.population, predictor], abs=1e-4)
        assert row.mae == pytest.approx(oracle[row.population, "model"], abs=1e-4)
    [every] = found[found["population"] == "all"].itertuples()
    assert every.skill > 0 and every.n == len(parts.test)
    assert every.interval_coverage == pytest.approx(0.8, abs=0.05)


def test_a_rerun_is_another_backtest_with_the_same_figures(home: Home) -> None:
    plan = Plan("month", count=1)
    first, second = run(home, plan), run(home, plan)
    assert first.backtest_id != second.backtest_id
    found = read(home, "select * from backtest_performance order by fold, population")
    one, other = (
        found[found["backtest_id"] == done.backtest_id].drop(columns="backtest_id")
        for done in (first, second)
    )
    assert len(one) == 12
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), other.reset_index(drop=True)
    )


def test_challengers_are_judged_on_identical_rows(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest, "ENOUGH", 400)
    champion = small_warehouse.config()
    stump = replace(champion, parameters={**champion.parameters, "max_depth": 1})
    few = replace(champion, min_prior_games=120)
    run(home, Plan("month", count=2), champion=champion, stump=stump, few=few)
    sizes = read(
        home,
        "select configuration, fold, count(*) as n from backtest_results group by all",
    )
    assert sizes.groupby("fold")["n"].nunique().to_list() == [1, 1]
    every = frame_of(home)
    inside = every["game_date"].dt.strftime("%Y-%m").eq("2024-02")
    enough = every["games_played_prior"] >= 120
    february = sizes.loc[sizes["fold"] == "2024-02", "n"]
    assert set(february) == {(inside & enough).sum()}
    assert february.max() < inside.sum()
    found = read(home, "select * from backtest_comparison")
    assert len(found) == 3 * 2 * 3  # ordered pairs of three, two folds and all
    [pair] = found[
        (found["configuration"] == "stump")
        & (found["other_configuration"] == "champion")
        & (found["fold"] == "all")
    ].itertuples()
    mae = read(
        home,
        "select configuration, mae from backtest_performance"
        " where fold = 'all' and population = 'all'",
    )
    mae = mae.set_index("configuration")["mae"]
    gap = mae["stump"] - mae["champion"]
    assert pair.mae_difference == pytest.approx(gap, abs=1e-4)
    assert pair.low < gap < pair.high and pair.n == sizes["n"].sum() / 3


# refusals, and the command


def test_a_fold_with_too_little_before_it_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained first"))
    with pytest.raises(UserError, match="2022-23 has 0 rows before 2022-10-20"):
        run(home, Plan(count=2))
    with pytest.raises(UserError, match="No whole season"):
        run(home, Plan(until=date(2020, 1, 1)))


def test_an_unknown_feature_version_is_refused(home: Home) -> None:
    config = replace(small_warehouse.config(), feature_version="v9")
    with pytest.raises(UserError, match="no feature of version v9"):
        run(home, champion=small_warehouse.config(), challenger=config)


def test_unfit_rows_are_refused(home: Home) -> None:
    small_warehouse.change(
        DuckDB(home.warehouse), "update training_set_v1 set target_points = 500"
    )
    with pytest.raises(UserError, match="training rows are refused"):
        run(home)


def test_the_command_prints_the_views(home: Home, tmp_path: Path) -> None:
    first, other = written(tmp_path, "deep"), written(tmp_path, "flat", max_depth=1)
    line = ["backtest", "--by", "month", "--folds", "2", "--config", first]
    done = CliRunner().invoke(cli, [*line, "--config", other])
    assert done.exit_code == 0, done.output
    assert "1 of 4: 2024-02 by deep@" in done.stderr
    for expected in ("2024-03", "all", "tier_star", "season average", "flat@"):
        assert expected in done.stdout
    assert "Challengers beside deep@" in done.stdout
    done = CliRunner().invoke(cli, [*line, "--json"])
    found = json.loads(done.stdout)
    assert len(found["performance"]) == 3 * 6 and found["comparison"] == []
    [name] = found["configurations"]
    assert name.startswith("deep@") and len(name) == len("deep@") + 8
    assert name == backtest.configuration(Path(first))[0]
    again = CliRunner().invoke(cli, [*line, "--config", first])
    assert again.exit_code == 1 and "given twice" in again.output


def test_data_tests_find_a_leak_and_unequal_rows(home: Home) -> None:
    one = small_warehouse.config()
    run(home, Plan("month", count=1), one=one, two=replace(one, seed=1))

    def failures(name: str) -> int:
        path = PROJECT / f"tests/registry/assert_backtest_results__{name}.sql"
        return len(read(home, re.sub(r"{{ ref\('(\w+)'\) }}", r"\1", path.read_text())))

    leak, unequal = "train_before_the_fold", "configurations_share_their_rows"
    assert failures(leak) == failures(unequal) == 0
    change = partial(small_warehouse.change, DuckDB(home.warehouse))
    mine = "where configuration = 'two' and player_lookup = 'player07'"
    change(f"update backtest_results set training_end = fold_start {mine}")
    assert failures(leak) > 5 and failures(unequal) == 0
    change(f"delete from backtest_results {mine}")
    assert failures(leak) == 0 and failures(unequal) > 5
