"""All alert rules over past seasons: false alarms, and when planted faults are seen.

Run it as `make replay DATA=dir`. Every season of the data after the first three is
replayed (replay.py) in a folder of its own; what the rules say of these healthy seasons
are false alarms. Then twelve faults are planted into the last season, each in weeks of
its own, and each must open an alert of the rule that is named beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from replay import CONFIG, SEASONS, openings, replay

from nba_ml import prediction, sources, training
from nba_ml.console import print_table
from nba_ml.settings import PROJECT, Home
from nba_ml.training import Window
from nba_ml.warehouse import connect

FEATURES = "feature_store_v1"


@dataclass(frozen=True)
class Fault:
    """A fault of `weeks` weeks, and the rule that must see it.

    `where` it is planted: in the `store`, and so in what is served, too; only in what
    is `served`; in the `log` of predictions or requests; or in the `source`. `sql`
    plants it in game dates from `{start}` to `{end}`.
    """

    name: str
    rule: str
    where: str
    sql: str
    weeks: int = 1


def update(table: str, assignments: str, condition: str = "true") -> str:
    return (
        f"update {table} set {assignments} where game_date between '{{start}}' and"
        f" '{{end}}' and {condition}"
    )


FAULTS = (
    Fault(
        "one feature 15 % too high",
        "feature_jump",
        "store",
        update(FEATURES, "points_avg_last_10 = 1.15 * points_avg_last_10"),
    ),
    Fault(
        "a feature stuck at a constant",
        "constant_features",
        "store",
        update(FEATURES, "usage_rate_last_10 = 20"),
    ),
    Fault(
        "two features swapped",
        "skewed_features",
        "served",
        update(
            FEATURES,
            "points_avg_last_10 = minutes_avg_last_10,"
            " minutes_avg_last_10 = points_avg_last_10",
        ),
    ),
    Fault(
        "percent written as a fraction",
        "feature_mean_change",
        "store",
        update(FEATURES, "three_pt_rate_last_10 = three_pt_rate_last_10 / 100"),
    ),
    Fault(
        "no box scores for two days",
        "missing_box_scores",
        "source",
        "delete from box_scores where game_date in (select distinct game_date from"
        " box_scores where game_date between '{start}' and '{end}' order by 1 limit 2)",
    ),
    Fault(
        "features of the day before",
        "skewed_features",
        "served",
        "update feature_store_v1 as today set points_avg_last_5 = before.last_5,"
        " points_avg_last_10 = before.last_10 from (select game_id, player_lookup,"
        " lag(points_avg_last_5) over player as last_5,"
        " lag(points_avg_last_10) over player as last_10 from feature_store_v1"
        " window player as (partition by player_lookup order by game_date))"
        " as before where today.game_id = before.game_id"
        " and today.player_lookup = before.player_lookup"
        " and today.game_date between '{start}' and '{end}'",
    ),
    Fault(
        "who did not play written down as zeros",
        "empty_rows",
        "source",
        "insert into box_scores by name"
        " select rest.*, games.* exclude (team), 1.0 as minutes_played,"
        " 0 as points, 0 as offensive_rebounds, 0 as turnovers, 0 as fg_attempts,"
        " 0 as fg_makes, 0 as three_pt_attempts, 0 as three_pt_makes,"
        " 0 as ft_attempts, 0 as ft_makes"
        " from (select distinct game_id, game_date, season_year, opponent_team_abbr,"
        " team_abbr as team from box_scores"
        " where game_date between '{start}' and '{end}') as games"
        " inner join (select distinct on (player_lookup) player_lookup, team_abbr"
        " from box_scores"
        " where game_date between date '{start}' - 30 and date '{start}' - 1"
        " order by player_lookup, game_date desc) as rest"
        " on games.team = rest.team_abbr"
        " anti join box_scores as there on games.game_id = there.game_id"
        " and rest.player_lookup = there.player_lookup",
    ),
    Fault(
        "outcomes twice",
        "rejected_rows",
        "source",
        "insert into box_scores select * from box_scores"
        " where game_date between '{start}' and '{end}'"
        " and hash(player_lookup) % 5 = 0",
    ),
    Fault(
        "a model served under another's name",
        "wrong_model",
        "log",
        update("prediction_log", "artifact_sha256 = repeat('0', 64)"),
    ),
    Fault(
        "slow answers",
        "slow_requests",
        "log",
        "update request_log set latency_ms = 250"
        " where cast(requested_at as date) between '{start}' and '{end}'"
        " and hash(request_id) % 10 = 0",
    ),
    Fault(
        "fewer predictions",
        "prediction_count",
        "log",
        "delete from prediction_log where game_date between '{start}' and '{end}'"
        " and hash(player_lookup) % 10 < 3",
    ),
    Fault(
        "a leak",
        "too_good",
        "store",
        "update feature_store_v1 as store set points_avg_last_5 = outcomes.points,"
        " points_avg_last_10 = outcomes.points, points_avg_season = outcomes.points"
        " from stg_player_game_summary as outcomes"
        " where store.game_id = outcomes.game_id"
        " and store.player_lookup = outcomes.player_lookup"
        " and store.game_date between '{start}' and '{end}'",
    ),
)


@dataclass(frozen=True)
class Planted:
    """A fault from Monday `start` to Sunday `end`, and when its rule saw it."""

    fault: Fault
    start: date
    end: date
    seen_on: date | None = None


def dbt(home: Home, *arguments: str) -> None:
    """Run dbt on the warehouse of `home`, quietly."""
    command = [str(Path(sys.executable).with_name("dbt")), "--quiet", *arguments]
    command += ["--target-path", str(home.root / "target")]
    command += ["--log-path", str(home.root / "logs")]
    environment = {"DBT_PROFILES_DIR": str(PROJECT / "profiles"), **os.environ}
    environment["NBA_ML_HOME"] = str(home.root)
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)


def prepare(home: Home, data: Path, seasons: int) -> dict[int, str]:
    """Import `data`, build, and replay its last `seasons`: the model of each season.

    The games of the box scores become the schedule, so that a missing one is known.
    """
    sources.import_files(home.raw, (data,), frozen_clock=True)
    os.environ["NBA_ML_AS_OF"] = (home.raw / "as_of").read_text().strip()
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select game_id, min(game_date) as game_date, min(season_year) as"
            f" season_year, min(season_type) as season_type, substr(game_id, 14, 3) as"
            f" home_team_abbr, substr(game_id, 10, 3) as away_team_abbr"
            f" from '{home.raw}/player_game_summary.parquet' group by game_id)"
            f" to '{home.raw}/game_schedule.parquet'"
        )
    dbt(home, "build", "--exclude-resource-type", "test", "unit_test")
    config = training.read_config(CONFIG)
    days = list(openings(home).items())
    models = {}
    for i, (season, opening) in enumerate(days):
        if i < len(days) - seasons or i < SEASONS:
            continue
        end = days[i + 1][1] - timedelta(days=1) if i + 1 < len(days) else date.max
        window = Window(days[i - SEASONS][1], None)
        done = replay(home, opening, end, replace(config, window=window))
        models[season] = done.model_id
        answer_requests(home, done.model_id, done.first_date, done.last_date)
    dbt(home, "run", "-s", "path:models/monitoring")
    return models


def answer_requests(home: Home, model_id: str, first: date, last: date) -> None:
    """A worker's log of a healthy season: 100 requests a day of 5 ms each."""
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            "insert into nba_ml.request_log by name select"
            " concat(?, day, number) as request_id, '/predict' as route,"
            " 200 as status, 1 as row_count, 5.0 as latency_ms,"
            " day + interval 20 hour as requested_at, ? as model_id"
            " from range(?::timestamp, ?::timestamp + interval 1 day, interval 1 day)"
            " as days(day), range(100) as numbers(number)",
            [model_id, model_id, first, last],
        )


def plant(
    home: Home, model_id: str, opening: date, faults: Sequence[Fault] = FAULTS
) -> list[Planted]:
    """Plant `faults` one after another from the fifth week of a season on."""
    monday = opening + timedelta(days=28 - opening.weekday())
    planted = []
    for fault in faults:
        end = monday + timedelta(days=7 * fault.weeks - 1)
        planted.append(Planted(fault, monday, end))
        monday = end + timedelta(days=1)
    shutil.copy(home.warehouse, home.root / "healthy.duckdb")
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("set schema = 'nba_ml'")
        for one in planted:
            if one.fault.where in ("store", "served"):
                connection.execute(_sql(one))
                connection.execute(
                    "delete from prediction_log where model_id = ?"
                    " and game_date between ? and ?",
                    [model_id, one.start, one.end],
                )
    for one in planted:
        if one.fault.where in ("store", "served"):
            prediction.replay(home, one.start, one.end, model_id)
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("set schema = 'nba_ml'")
        connection.execute(
            f"attach '{home.root}/healthy.duckdb' as healthy (read_only)"
        )
        source = home.raw / "player_game_summary.parquet"
        connection.execute(f"create temp table box_scores as select * from '{source}'")
        for one in planted:
            if one.fault.where == "served":
                days = f"where game_date between '{one.start}' and '{one.end}'"
                connection.execute(f"delete from {FEATURES} {days}")
                connection.execute(
                    f"insert into {FEATURES} select * from healthy.nba_ml.{FEATURES}"
                    f" {days}"
                )
            elif one.fault.where != "store":
                connection.execute(_sql(one))
        connection.execute(f"copy box_scores to '{source}'")
    dbt(home, "run", "-s", "base_player_game_summary", "path:models/monitoring")
    return [replace(one, seen_on=_seen_on(home, one)) for one in planted]


def _sql(one: Planted) -> str:
    return one.fault.sql.format(start=one.start, end=one.end)


def _seen_on(home: Home, one: Planted) -> date | None:
    """The morning after the check with which the fault's own alert opened."""
    found = connect(home).read(
        "select min(opened_on) as day, min(rules.every) as every from alerts"
        " inner join alert_rules as rules on alerts.rule = rules.rule"
        " where alerts.rule = ? and first_seen_on between ? and ?"
        " and opened_on <= ?",
        [one.fault.rule, one.start, one.end, one.end],
    )
    day, every = found.iloc[0]
    if pd.isna(day):
        return None
    return day.date() + timedelta(days=7 if every == "week" else 1)


def false_alarms(home: Home, seasons: Sequence[int]) -> pd.DataFrame:
    """Alerts of each rule by season, and the share of checks that were broken."""
    return connect(home).read(
        "with seasons as (select season_year, min(game_date) as first_date,"
        " max(game_date) as last_date from data_quality_daily"
        f" where season_year in ({', '.join(map(str, seasons))}) group by season_year)"
        " select seasons.season_year, rules.rule, rules.severity,"
        " count(distinct checks.checked_on) as checks,"
        " avg(cast(checks.is_breached as int)) as broken,"
        " (select count(*) from alerts where alerts.rule = rules.rule"
        " and alerts.opened_on between seasons.first_date - 7 and seasons.last_date)"
        " as alerts,"
        " (select count(*) from alerts where alerts.rule = rules.rule"
        " and alerts.severity = 'critical'"
        " and alerts.opened_on between seasons.first_date - 7 and seasons.last_date)"
        " as critical"
        " from seasons cross join alert_rules as rules"
        " left join alert_checks as checks on rules.rule = checks.rule"
        " and checks.checked_on between seasons.first_date - 7 and seasons.last_date"
        " group by all order by rules.rule, seasons.season_year"
    )


def main() -> None:
    data = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        models = prepare(home, data, seasons=99)
        report(home, models)


def report(home: Home, models: dict[int, str]) -> None:
    seasons = list(models)
    alarms = false_alarms(home, seasons)
    header = ["rule", "severity", *(f"{s}-{(s + 1) % 100:02}" for s in seasons)]
    rows: list[list[Any]] = []
    for (rule, severity), part in alarms.groupby(["rule", "severity"], sort=False):
        cells = [
            f"{one.alerts}" + (f" ({one.critical} critical)" if one.critical else "")
            for one in part.itertuples()
        ]
        rows.append([rule, severity, *cells])
    print("False alarms of each rule in healthy seasons, replayed:")
    print_table(header, rows)
    season, model_id = list(models.items())[-1]
    print(f"Faults planted into {season}-{(season + 1) % 100:02}:")
    planted = plant(home, model_id, openings(home)[season])
    print_table(
        ["fault", "from", "to", "rule", "seen after"],
        [
            [
                one.fault.name,
                f"{one.start}",
                f"{one.end}",
                one.fault.rule,
                f"{(one.seen_on - one.start).days} days" if one.seen_on else "NEVER",
            ]
            for one in planted
        ],
    )
    if missed := [one.fault.name for one in planted if one.seen_on is None]:
        raise SystemExit(f"Not seen: {', '.join(missed)}.")


if __name__ == "__main__":
    main()
