"""Every data test of the store and of what it is made from can fail.

A small made-up league is built once; each case plants one violation in a copy of the
warehouse and names the dbt test that has to find it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from dbt_common.exceptions import DbtRuntimeError

import small_league
from dbt_project import DbtProject

# the last date of the league, so that its games are upcoming
CLOCK = "2023-12-24T12:00:00"
BUILT = (
    *("+training_set", "+baseline_predictions", "+data_quality_daily"),
    *("rejected_rows", "season_exceptions"),
)
REJECTED = "assert_rejected_rows__is_empty"

BOX = "base_player_game_summary"
STORE, NEXT = "feature_store_v1", "feature_store_v2"
TRAINING = "training_set_v1"
FIRST_GAME = f"(select min(game_id) from {BOX})"
# three of 24 games of one team, in the season that is over
THREE_GAMES = f"""(
    select distinct game_id from {BOX}
    where team_abbr = 'ATL' and season_year = 2022 and season_type = 'regular'
    order by game_id limit 3
)"""
ONE_ROW = "where rowid = 0"
TWO_PERCENT = "where season_year = 2022 and rowid % 50 = 0"

# what is planted, the statement, the test that finds it
VIOLATIONS = [
    (
        "duplicate key in the store",
        f"insert into {STORE} select * from {STORE} limit 1",
        "unique_combination_feature_store_v1_game_id__player_lookup",
    ),
    (
        "duplicate key in staging",
        f"insert into {BOX} select * from {BOX} limit 1",
        "unique_combination_stg_player_game_summary_game_id__player_lookup",
    ),
    (
        "bad game_id",
        f"update {STORE} set game_id = 'BOS at NYK' {ONE_ROW}",
        "matches_pattern_feature_store_v1_game_id___0_9_8___A_Z_3___A_Z_3_",
    ),
    (
        "feature out of its range",
        f"update {STORE} set points_avg_last_10 = 70.5 {ONE_ROW}",
        "within_declared_range_feature_store_v1_points_avg_last_10",
    ),
    (
        "NULL in a feature that is never NULL",
        f"update {STORE} set is_home = null {ONE_ROW}",
        "within_declared_range_feature_store_v1_is_home",
    ),
    (
        "forecast out of range",
        f"update baseline_predictions set rule = -1 {ONE_ROW}",
        "within_range_baseline_predictions_True__rule__60__0",
    ),
    (
        "NULL where a range allows none",
        f"update {TRAINING} set target_points = null {ONE_ROW}",
        "within_range_training_set_v1_target_points__110__0",
    ),
    (
        "training row with too few games before it",
        f"update {TRAINING} set games_played_prior = 9 {ONE_ROW}",
        "within_range_training_set_v1_games_played_prior___var_min_prior_games_",
    ),
    (
        "zones that do not sum to 100",
        f"update {STORE} set paint_rate_last_10 = paint_rate_last_10 + 1",
        "assert_feature_store_v1__zone_rates_sum_to_100",
    ),
    (
        "zones of which one is missing",
        f"update {STORE} set paint_rate_last_10 = null",
        "assert_feature_store_v1__zone_rates_sum_to_100",
    ),
    (
        "constant feature",
        "update feature_quality set distinct_values = 1, row_count = 2500"
        " where feature_name = 'days_rest'",
        "assert_feature_quality__not_constant",
    ),
    (
        "implausible level of points",
        f"update {STORE} set points_avg_last_10 = points_avg_last_10 / 10",
        "assert_feature_store__mean_points_are_plausible",
    ),
    (
        "wrong team",
        f"update {STORE} set team_abbr = 'XXX' {ONE_ROW}",
        "relationships_feature_store_v1_team_abbr__team_abbr__ref_teams_",
    ),
    (
        "exposed post-game column",
        f"alter table {STORE} add column plus_minus bigint",
        "no_post_game_column_feature_store_v1_",
    ),
    (
        "appearance that the store lost",
        f"delete from {STORE} {ONE_ROW}",
        "assert_feature_store__has_one_row_per_player_game",
    ),
    (
        "row of the store that is no appearance",
        f"update {STORE} set player_lookup = 'nobody' {ONE_ROW}",
        "assert_feature_store__has_one_row_per_player_game",
    ),
    (
        "NULL in a feature that version 2 shares with version 1",
        f"update {NEXT} set is_home = null {ONE_ROW}",
        "within_declared_range_feature_store_v2_is_home",
    ),
    (
        "source of availability that is none",
        f"update {NEXT} set availability_source = 'rumour' {ONE_ROW}",
        "accepted_values_feature_store_v2_availability_source__box_score__report__none",
    ),
    (
        "implausible level of points in one version",
        f"update {NEXT} set points_avg_last_10 = points_avg_last_10 / 10",
        "assert_feature_store__mean_points_are_plausible",
    ),
    (
        "appearance that one version lost",
        f"delete from {NEXT} {ONE_ROW}",
        "assert_feature_store__has_one_row_per_player_game",
    ),
    (
        "training row of one version that its store does not hold",
        f"update {NEXT} set is_scheduled = true where not is_scheduled",
        "assert_training_set__rows_are_in_the_store",
    ),
    (
        "training row of another tier in one version",
        f"update {TRAINING} set tier = 'none' {ONE_ROW}",
        "assert_training_set__versions_agree",
    ),
    (
        "training row that one version lacks",
        f"delete from {TRAINING} {ONE_ROW}",
        "assert_training_set__versions_agree",
    ),
    (
        "feature of one version without a limit of its own",
        "update feature_quality set max_null_pct = null where feature_version = 'v2'",
        "assert_feature_quality__nulls_within_limit",
    ),
    (
        "training row that the store does not hold",
        f"update {TRAINING} set player_lookup = 'nobody' {ONE_ROW}",
        "assert_training_set__rows_are_in_the_store",
    ),
    (
        "forecast that was lost",
        f"delete from baseline_predictions {ONE_ROW}",
        "assert_baseline_predictions__has_one_row_per_store_row",
    ),
    (
        "past games without box scores",
        f"delete from {BOX} where game_id in {THREE_GAMES}",
        "assert_stg_game_schedule__past_games_have_box_scores",
    ),
    (
        "team with three games fewer",
        f"delete from {BOX} where team_abbr = 'ATL' and game_id in {THREE_GAMES}",
        "assert_stg_player_game_summary__seasons_are_whole",
    ),
    (
        "team with more games than a season has",
        "insert into season_exceptions values (2022, 20, 2, 'planted')",
        "assert_stg_player_game_summary__seasons_are_whole",
    ),
    (
        "games without one of their teams",
        f"delete from {BOX} where team_abbr = 'ATL' and game_id in {THREE_GAMES}",
        "assert_stg_player_game_summary__games_are_whole",
    ),
    (
        "games that lack minutes",
        f"update {BOX} set minutes_played = 1"
        f" where team_abbr = 'ATL' and game_id in {THREE_GAMES}",
        "assert_stg_player_game_summary__games_are_whole",
    ),
    (
        "minutes that could not be read",
        f"update {BOX} set minutes_played = null, is_played = false {TWO_PERCENT}",
        "assert_base_player_game_summary__who_shot_has_minutes",
    ),
    (
        "game on another date than its id says",
        f"update {BOX} set game_id = '20991231_ATL_BOS' where game_id = {FIRST_GAME}",
        "assert_stg_game_schedule__dates_agree_with_game_id",
    ),
    (
        "2 % rejected rows of a season",
        f"update {BOX} set rejection_reason = 'negative_count' {TWO_PERCENT}",
        "assert_rejected_rows__at_most_one_percent",
    ),
    (
        "rejected rows without a season",
        f"update {BOX} set rejection_reason = 'missing_key', season_year = null"
        " where rowid % 50 = 0",
        "assert_rejected_rows__at_most_one_percent",
    ),
]


@pytest.fixture(scope="module")
def league(project: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once; copy its warehouse, never change it."""
    home = tmp_path_factory.mktemp("quality")
    raw = home / "raw"
    raw.mkdir()
    box_scores = small_league.box_scores()
    played = box_scores["minutes_played"] > 0
    teams = box_scores[played].groupby(["game_id", "team_abbr"])["game_id"]
    # whole games: everybody plays the same share of 240 minutes
    box_scores.loc[played, "minutes_played"] = 240 / teams.transform("size")
    box_scores.to_parquet(raw / "player_game_summary.parquet")
    games = box_scores.groupby("game_id", as_index=False).first()
    games["away_team_abbr"] = games["game_id"].str[9:12]
    games["home_team_abbr"] = games["game_id"].str[13:16]
    columns = ["game_date", "season_year", "season_type"]
    columns += ["game_id", "away_team_abbr", "home_team_abbr"]
    games[columns].to_parquet(raw / "game_schedule.parquet")
    project.build(home, CLOCK, 2, BUILT)
    return home


def planted(league: Path, home: Path, statement: str) -> Path:
    """A copy of the league with one violation; the sources stay where they are."""
    shutil.copy(league / "warehouse.duckdb", home)
    shutil.copytree(league / "raw", home / "raw")
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute("set schema = 'nba_ml'")
        connection.execute(statement)
    return home


def test_nothing_is_found_in_a_sound_warehouse(
    project: DbtProject, league: Path
) -> None:
    names = {name for _, _, name in VIOLATIONS}
    assert project.failed_tests(league, CLOCK, *names, REJECTED) == set()


@pytest.mark.parametrize(
    ("statement", "name"),
    [violation[1:] for violation in VIOLATIONS],
    ids=[violation[0] for violation in VIOLATIONS],
)
def test_violation_is_found(
    project: DbtProject, league: Path, tmp_path: Path, statement: str, name: str
) -> None:
    home = planted(league, tmp_path, statement)
    assert project.failed_tests(home, CLOCK, name) == {name}


def test_single_rejected_row_is_a_warning(
    project: DbtProject, league: Path, tmp_path: Path
) -> None:
    statement = f"update {BOX} set rejection_reason = 'negative_count'"
    home = planted(league, tmp_path, f"{statement} {ONE_ROW}")
    error = "assert_rejected_rows__at_most_one_percent"
    states = project._invoke(home, CLOCK, "test", "--select", REJECTED, error)
    assert states == {REJECTED: "warn", error: "pass"}


def test_a_feature_that_is_stuck_in_one_version_is_named_with_it(
    project: DbtProject, league: Path, tmp_path: Path
) -> None:
    day = f"(select max(game_date) from {TRAINING})"
    statement = f"update {{}} set opponent_pace = 99 where game_date = {day};"
    home = planted(league, tmp_path, statement.format(NEXT))
    sql = f"select constant_features from data_quality_daily where game_date = {day}"
    names = {}
    for table in (NEXT, STORE):
        project.build(home, CLOCK, select=("data_quality_daily",))
        with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
            connection.execute("set schema = 'nba_ml'")
            [(names[table],)] = connection.execute(sql).fetchall()
            connection.execute(statement.format(STORE))
    assert names[NEXT] == "v2.opponent_pace"
    assert names[STORE] == "v1.opponent_pace v2.opponent_pace"


def test_a_version_that_no_loop_reads_is_an_error(project: DbtProject) -> None:
    forgotten = ("macros/feature_versions.sql", "[1, 2]", "[1]")
    select = ("compile", "--select", "feature_catalog")
    project.compiled(CLOCK, *select)
    with (
        project.planted(forgotten),
        pytest.raises(
            DbtRuntimeError, match=r"Version 2 of feature_store is not among"
        ),
    ):
        project.compiled(CLOCK, *select)
