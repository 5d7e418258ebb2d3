"""Files of the user: good ones come in whole, bad ones change nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from nba_ml import sources
from nba_ml.cli import cli
from nba_ml.settings import Home

SUMMARY = "player_game_summary.parquet"


@pytest.fixture(scope="session")
def good(simulated_home: Home) -> pd.DataFrame:
    """Four days of box scores with some columns of the user's own."""
    return duckdb.sql(
        f"""select * exclude (processed_at), true as own_flag,
            team_abbr = game_id[14:16] as home_flag
        from '{simulated_home.raw / SUMMARY}'
        where game_date between '2023-01-10' and '2023-01-13'"""
    ).df()


@pytest.fixture
def raw(tmp_path: Path, good: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A raw folder with an earlier import in it."""
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NBA_ML_AS_OF", raising=False)
    before = tmp_path / "before"
    before.mkdir()
    good.head(50).to_parquet(before / SUMMARY)
    assert run("import", before, "--frozen-clock").exit_code == 0
    return tmp_path / "home/raw"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def state(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def write(frame: pd.DataFrame, folder: Path, name: str = SUMMARY) -> Path:
    folder.mkdir(exist_ok=True)
    if name.endswith(".csv"):
        frame.to_csv(folder / name, index=False)
    else:
        frame.to_parquet(folder / name)
    return folder


def put(column: str, value: object, rows: int = 1) -> Callable:
    """The good frame with `value` on its first played rows."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        if isinstance(value, str):
            frame[column] = frame[column].astype("string")
        if isinstance(value, float):
            frame[column] = frame[column].astype("float64")
        played = frame.index[frame["minutes_played"] > 0][:rows]
        frame.loc[played, column] = value
        return frame

    return change


def reverse(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    game = frame["game_id"]
    frame["game_id"] = game.str[:9] + game.str[13:] + "_" + game.str[9:12]
    return frame


def clock_text(frame: pd.DataFrame) -> pd.DataFrame:
    minutes = frame["minutes_played"]
    seconds = ((minutes % 1) * 60).round().astype(int).map("{:02d}".format)
    return frame.assign(minutes_played=minutes.astype(int).astype(str) + ":" + seconds)


BAD_FRAMES = {
    "missing column": (
        lambda f: f.drop(columns="points"),
        ["player_game_summary.points", "missing column", "Add points"],
    ),
    "text in a number column": (
        put("points", "ten"),
        ["player_game_summary.points", "not int64", "1 rows", "'ten'", "Repair"],
    ),
    "a fraction in a whole-number column": (
        put("points", 10.5),
        ["player_game_summary.points", "not int64", "'10.5'", "Repair"],
    ),
    "minutes as MM:SS": (
        clock_text,
        ["minutes_played", "text MM:SS", ":", "--minutes mm:ss"],
    ),
    "reversed game_id": (
        reverse,
        ["game_id", "reversed", "home_flag = ", "Write game_id as YYYYMMDD_AWAY_HOME"],
    ),
    "another game's game_id": (
        put("game_id", "20230110_BOS_LAL", 3),
        ["team and opponent are not the two teams", "3 rows", "20230110_BOS_LAL"],
    ),
    "a malformed game_id": (
        put("game_id", "0022300001"),
        ["player_game_summary.game_id", "not like", "0022300001", "Repair"],
    ),
    "the date differs from game_id": (
        put("game_date", pd.Timestamp("2023-01-09")),
        ["the date differs", "game_date = 2023-01-09", "league-local"],
    ),
    "duplicate keys": (
        lambda f: pd.concat([f, f.head(2)]),
        ["game_id, player_lookup", "duplicate key", "4 rows", "Keep one row"],
    ),
    "negative points": (
        put("points", -3, 2),
        ["player_game_summary.points", "below 0", "2 rows", "points = -3", "Repair"],
    ),
    "more points than possible": (
        put("points", 111),
        ["player_game_summary.points", "above 110", "points = 111", "Repair"],
    ),
    "points that the makes do not give": (
        put("points", 99),
        ["not points == 2 * fg_makes", "points = 99", "Repair"],
    ),
    "more makes than attempts": (
        put("ft_makes", 45),
        ["not ft_makes <= ft_attempts", "ft_makes = 45", "Repair"],
    ),
    "no box score on a played row": (
        put("turnovers", None),
        ["turnovers", "NULL on rows with minutes", "did-not-play rows 0 minutes"],
    ),
    "no player": (
        put("player_lookup", None),
        ["player_game_summary.player_lookup", "NULL", "Fill in player_lookup"],
    ),
    "an unknown season type": (
        put("season_type", "preseason"),
        ["season_type", "not one of regular, playoffs", "= preseason", "Repair"],
    ),
    "an unknown team": (
        lambda f: f.assign(
            **{
                c: f[c].str.replace("BOS", "XYZ")
                for c in ("team_abbr", "opponent_team_abbr", "game_id")
            }
        ),
        ["no team of seeds/teams.csv", "team_abbr = XYZ", "tricode"],
    ),
    "no rows": (lambda f: f.head(0), [SUMMARY, "0 rows", "Export it again"]),
}


def assert_refused(
    raw: Path, before: dict[str, bytes], result: Result, words: list[str]
) -> None:
    assert result.exit_code == 1, result.output
    for word in words:
        assert word in result.output
    assert state(raw) == before


@pytest.mark.parametrize("bad", BAD_FRAMES)
def test_bad_rows_change_nothing(
    bad: str, raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    change, words = BAD_FRAMES[bad]
    before = state(raw)
    folder = write(change(good), tmp_path / "bad")
    assert_refused(raw, before, run("import", folder, "--frozen-clock"), words)


def test_dates_after_the_clock_change_nothing(
    raw: Path, good: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(raw)
    folder = write(good, tmp_path / "bad")
    monkeypatch.setenv("NBA_ML_AS_OF", "2023-01-11T12:00:00")
    words = ["dated after the clock (2023-01-11)", "game_date = 2023-01-1", "unset"]
    assert_refused(raw, before, run("import", folder), words)
    # the real clock judges data that stand still
    assert run("import", folder, "--frozen-clock").exit_code == 0

    future = good.assign(
        game_date=pd.Timestamp("2098-01-10"),
        game_id="20980110" + good["game_id"].str[8:],
        player_lookup=good["player_lookup"] + good.index.astype(str),
    )
    before = state(raw)
    result = run("import", write(future, tmp_path / "bad"), "--frozen-clock")
    assert_refused(raw, before, result, ["dated after the clock", "2098-01-10"])


def bad_file(name: str, content: Callable[[bytes], bytes]) -> Callable:
    def make(good: pd.DataFrame, folder: Path) -> Path:
        path = write(good, folder, name) / name
        path.write_bytes(content(path.read_bytes()))
        return folder

    return make


def renamed(good: pd.DataFrame, folder: Path) -> Path:
    (write(good, folder) / SUMMARY).rename(folder / "box_scores.parquet")
    return folder


BAD_FILES = {
    "0 bytes": (
        bad_file(SUMMARY, lambda b: b""),
        [SUMMARY, "empty (0 bytes)", "Export it again"],
    ),
    "truncated Parquet": (
        bad_file(SUMMARY, lambda b: b[: len(b) // 2]),
        [SUMMARY, "cannot be read as parquet", "Copy or export it again"],
    ),
    "byte-order mark": (
        bad_file("player_game_summary.csv", lambda b: b"\xef\xbb\xbf" + b),
        ["player_game_summary.csv", "byte-order mark", "--encoding utf-8-sig"],
    ),
    "not UTF-8": (
        bad_file("player_game_summary.csv", lambda b: b.replace(b"Ar", b"\xc9r")),
        ["player_game_summary.csv", "not text in the encoding 'utf-8'", "--encoding"],
    ),
    "ragged CSV": (
        bad_file("player_game_summary.csv", lambda b: b + b"a,b\n"),
        ["player_game_summary.csv", "Expected", "got 2", "export it again"],
    ),
    "unknown extension": (
        bad_file("player_game_summary.xlsx", lambda b: b),
        ["player_game_summary.xlsx", "'.xlsx'", "Convert it"],
    ),
    "no known files": (
        renamed,
        ["no file of a known table", "box_scores.parquet", "Name the files"],
    ),
    "no such folder": (
        lambda good, folder: folder / "nowhere",
        ["nowhere", "does not exist", "Give a folder"],
    ),
}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_bad_files_change_nothing(
    bad: str, raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    make, words = BAD_FILES[bad]
    before = state(raw)
    result = run("import", make(good, tmp_path / "bad"), "--frozen-clock")
    assert_refused(raw, before, result, words)


def test_one_report_names_every_kind(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    bad = put("points", -3, 4)(put("ft_makes", 45)(good)).drop(columns="turnovers")
    folder = write(bad, tmp_path / "bad")
    schedule = pd.DataFrame({"game_id": ["20230110_BOS_LAL"], "season_year": ["x"]})
    write(schedule, folder, "game_schedule.parquet")
    words = [
        "turnovers",
        "below 0",
        "4 rows",
        "ft_makes <=",
        "game_schedule.season_year",
    ]
    assert_refused(raw, state(raw), run("import", folder), words)


def test_a_good_table_waits_for_a_bad_one(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    folder = write(good, tmp_path / "mixed")
    (folder / "player_availability.parquet").write_bytes(b"")
    words = ["player_availability.parquet", "0 bytes"]
    assert_refused(raw, state(raw), run("import", folder), words)


def test_files_of_one_table_are_united_and_trimmed(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    folder = write(good.iloc[50:].drop(columns="steals"), tmp_path / "good")
    write(good.iloc[:50], folder, "player_game_summary_history.csv")
    (folder / "notes.txt").write_text("mine")
    result = run("import", folder, "--frozen-clock")
    assert result.exit_code == 0, result.output
    for words in ("own_flag, home_flag", "ignored: notes.txt", f"{len(good)} rows"):
        assert words in result.output
    data = pd.read_parquet(raw / SUMMARY)
    assert len(data) == len(good) and data["steals"].count() <= 50
    assert "own_flag" not in data and "home_flag" not in data
    both = data.merge(good, on=["game_id", "player_lookup"])
    assert len(both) == len(good)
    assert both["points_x"].astype("Int64").equals(both["points_y"])
    assert (raw / "as_of").read_text() == "2023-01-13T12:00:00\n"
    assert not list(raw.glob(".new-*"))

    before = state(raw)
    again = run("import", folder, "--frozen-clock")
    assert "unchanged" in again.output and state(raw) == before
    # without a frozen clock, none stays behind
    assert run("import", folder).exit_code == 0
    assert not (raw / "as_of").exists()


def test_another_table_leaves_the_frozen_clock(
    raw: Path, tmp_path: Path, good: pd.DataFrame
) -> None:
    clock = (raw / "as_of").read_text()
    first = good.iloc[0]
    schedule = pd.DataFrame(
        {
            "game_id": [first["game_id"]],
            "game_date": [first["game_date"]],
            "home_team_abbr": [first["game_id"][13:]],
            "away_team_abbr": [first["game_id"][9:12]],
            "season_year": [first["season_year"]],
            "season_type": ["regular"],
        }
    )
    folder = write(schedule, tmp_path / "more", "game_schedule.parquet")
    result = run("import", folder)
    assert result.exit_code == 0, result.output
    assert (raw / "as_of").read_text() == clock


@pytest.mark.parametrize("extension", ["parquet", "csv"])
def test_minutes_as_text_are_converted_on_request(
    extension: str, raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    name = f"player_game_summary.{extension}"
    folder = write(clock_text(good), tmp_path / "good", name)
    result = run("import", folder, "--minutes", "mm:ss")
    assert result.exit_code == 0, result.output
    data = pd.read_parquet(raw / SUMMARY)
    assert data["minutes_played"].to_numpy() == pytest.approx(
        good["minutes_played"].to_numpy(), abs=0.01
    )


def test_numbers_are_not_read_as_text_minutes(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    before = state(raw)
    result = run("import", write(good, tmp_path / "bad"), "--minutes", "mm:ss")
    words = ["player_game_summary.minutes_played", "not float64", "Repair"]
    assert_refused(raw, before, result, words)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_another_encoding_is_read_on_request(
    encoding: str, raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    named = good.assign(player_full_name="José")
    path = write(named, tmp_path / "good", "mine.csv") / "mine.csv"
    path.write_text(path.read_text(), encoding=encoding)
    result = run(
        "import", path, "--encoding", encoding, "--table", "player_game_summary"
    )
    assert result.exit_code == 0, result.output
    assert set(pd.read_parquet(raw / SUMMARY)["player_full_name"]) == {"José"}


def test_null_breaks_only_what_forbids_it(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    unsaid = put("season_type", None)(put("paint_makes", None)(good))
    assert run("import", write(unsaid, tmp_path / "good")).exit_code == 0
    nameless = write(put("team_abbr", None)(good), tmp_path / "bad")
    refused = run("import", nameless)
    assert "Fill in team_abbr" in refused.output and "tricode" not in refused.output


def test_rows_told_apart_by_their_time_are_taken(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    first = good.assign(processed_at=pd.Timestamp("2023-01-14"))
    second = good.head(2).assign(processed_at=pd.Timestamp("2023-01-15"))
    folder = write(pd.concat([first, second]), tmp_path / "good")
    assert run("import", folder).exit_code == 0
    assert run("check").exit_code == 0


@pytest.mark.parametrize("time", ["10:00:00+02:00", "08:00:00Z", "08:00:00"])
def test_time_as_text_becomes_utc(
    time: str, raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    folder = write(good.assign(processed_at=f"2023-01-14T{time}"), tmp_path / "good")
    assert run("import", folder).exit_code == 0
    data = pd.read_parquet(raw / SUMMARY)
    assert set(data["processed_at"]) == {pd.Timestamp("2023-01-14 08:00")}


def test_real_data_replace_simulated(
    good: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBA_ML_HOME", str(tmp_path))
    assert run("simulate", "--seasons", 1).exit_code == 0
    availability = tmp_path / "mine/player_availability.parquet"
    availability.parent.mkdir()
    source = tmp_path / "raw" / availability.name
    availability.write_bytes(source.read_bytes())
    before = state(tmp_path / "raw")
    words = ["player_game_summary is neither", "Give its file"]
    assert_refused(tmp_path / "raw", before, run("import", availability), words)

    assert run("import", write(good, tmp_path / "mine")).exit_code == 0
    assert sorted(state(tmp_path / "raw")) == [
        "origin.json",
        "player_availability.parquet",
        SUMMARY,
    ]
    assert run("simulate").exit_code == 1


def test_interrupted_publication_leaves_whole_files(
    raw: Path, good: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(good, tmp_path / "good")
    schedule = good[["game_id", "game_date", "season_year", "season_type"]]
    schedule = schedule.drop_duplicates().assign(
        home_team_abbr=schedule["game_id"].str[13:],
        away_team_abbr=schedule["game_id"].str[9:12],
    )
    write(schedule, folder, "game_schedule.parquet")
    before = state(raw)
    replace = os.replace
    after: dict[str, bytes] = {}
    for allowed in range(10):
        left = [allowed]

        def fail(source: Path, target: Path, left: list[int] = left) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            replace(source, target)

        monkeypatch.setattr(os, "replace", fail)
        result = run("import", folder, "--frozen-clock")
        monkeypatch.setattr(os, "replace", replace)
        now = {k: v for k, v in state(raw).items() if not k.startswith(".new-")}
        if result.exit_code == 0:
            after = now
            break
        assert len(now[SUMMARY]) > 1000
        assert len(pd.read_parquet(raw / SUMMARY)) in (50, len(good))
        assert now[SUMMARY] == before[SUMMARY] or allowed > 0
    # origin, two tables, as_of, origin
    assert allowed == 5
    assert "unchanged" in run("import", folder, "--frozen-clock").output
    assert set(after) == {*before, "game_schedule.parquet"}
    assert not list(raw.glob(".new-*"))


def test_killed_process_leaves_old_or_new(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    folder = write(good, tmp_path / "good")
    # starts where the modules are loaded, which takes most of the time
    script = (
        "from nba_ml import sources; print('ready', flush=True); "
        "from nba_ml.cli import cli; cli(['import', *__import__('sys').argv[1:]])"
    )
    command = [sys.executable, "-c", script, str(folder)]
    old = (raw / SUMMARY).read_bytes()
    chance = random.Random(5)
    for _ in range(3):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout and process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.communicate()
        data = (raw / SUMMARY).read_bytes()
        assert data == old or len(pd.read_parquet(raw / SUMMARY)) == len(good)
    assert run("import", folder).exit_code == 0
    assert len(pd.read_parquet(raw / SUMMARY)) == len(good)
    assert not list(raw.glob(".new-*"))


def test_check_reports_and_changes_nothing(
    raw: Path, good: pd.DataFrame, tmp_path: Path
) -> None:
    assert run("check").exit_code == 0
    before = state(raw)
    half = put("paint_attempts", None, len(good))(good)
    folder = write(put("points", -1)(half), tmp_path / "mine")
    result = run("check", folder, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    summary = report["tables"][0]
    assert summary["table"] == "player_game_summary" and not summary["ok"]
    assert summary["rows"] == len(good)
    assert summary["bytes"] == (folder / SUMMARY).stat().st_size
    assert summary["first_date"] == "2023-01-10" and summary["duplicate_keys"] == 0
    assert "processed_at" in summary["missing"]
    assert summary["missing_required"] == []
    assert summary["extra"] == ["own_flag", "home_flag"]
    nulls = {row["column"]: row["value"] for row in summary["null_rates"]}
    assert nulls == {"paint_attempts": 1.0}
    constants = {row["column"]: row["value"] for row in summary["constants"]}
    assert constants["own_flag"] == "true" and "points" not in constants
    assert {one["rule"] for one in summary["violations"]} == {
        "below 0",
        "not points == 2 * fg_makes + three_pt_makes + ft_makes",
    }
    text = run("check", folder)
    assert text.exit_code == 1
    for words in ("own_flag", "not found", "100%", "below 0", "points = -1"):
        assert words in text.output
    assert state(raw) == before


def test_check_finds_a_missing_required_table(
    simulated_home: Home, tmp_path: Path
) -> None:
    name = "game_schedule.parquet"
    (tmp_path / name).write_bytes((simulated_home.raw / name).read_bytes())
    result = run("check", tmp_path)
    assert result.exit_code == 1 and "(required)" in result.output
    seen, _ = sources.inspect(tmp_path)
    assert [one.ok for one in seen] == [False, True, True, True, True]


def test_help_shows_a_line_to_paste() -> None:
    for name in ("simulate", "import", "check"):
        assert f"nba-ml {name}" in (cli.commands[name].help or "")
