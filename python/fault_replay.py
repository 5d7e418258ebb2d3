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
from replay import SEASONS, openings, replay

from nba_ml import prediction, sources, training
from nba_ml.settings import PROJECT, Home
from nba_ml.training import Window
from nba_ml.warehouse import connect

CONFIG = PROJECT / "python/config/training.yml"
FEATURES = f"feature_store_{training.read_config(CONFIG).feature_version}"

# tonight's points in every average of points: in a few alone, the rest outvote them
OUTCOMES = ", ".join(
    f"points_{average} = outcomes.points"
    for average in (
        *("avg_last_5", "avg_last_10", "avg_last_20", "avg_last_40", "avg_season"),
        *("ewma_5", "ewma_12", "ewma_30", "avg_last_lineup", "avg_similar_lineups"),
    )
)


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
        update(FEATURES, "minutes_avg_last_10 = 20"),
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
        "a rating of one possession instead of 100",
        "feature_mean_change",
        "store",
        update(FEATURES, "team_off_rating_last_10 = team_off_rating_last_10 / 100"),
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
        f"update {FEATURES} as today set points_avg_last_5 = before.last_5,"
        " points_avg_last_10 = before.last_10 from (select game_id, player_lookup,"
        " lag(points_avg_last_5) over player as last_5,"
        f" lag(points_avg_last_10) over player as last_10 from {FEATURES}"
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
        f"update {FEATURES} as store set {OUTCOMES}"
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


def accuracy(home: Home, models: dict[int, str]) -> pd.DataFrame:
    """How good the model of each season was, beside the baselines on the same rows."""
    found = connect(home).read(
        "select model_id, count(*) as n, min(game_date) as first_date,"
        " max(game_date) as last_date, avg(absolute_error) as model,"
        " avg(abs(rule - actual_points)) as rule,"
        " avg(abs(last_5 - actual_points)) as last_5,"
        " avg(abs(last_10 - actual_points)) as last_10,"
        " avg(abs(season_average - actual_points)) as season_average"
        " from prediction_accuracy where not is_voided and rule is not null"
        " and last_5 is not null and last_10 is not null"
        " and season_average is not null group by model_id"
    )
    seasons = {model_id: season for season, model_id in models.items()}
    found.insert(0, "season", found.pop("model_id").map(seasons))
    return found.sort_values("season")


def false_alarms(home: Home, seasons: Sequence[int]) -> pd.DataFrame:
    """Alerts of each rule by season, in the order of the seed.

    `expected` is how many runs of broken checks chance alone would make, were the days
    independent and each broken with the share of the season: p^k (1 + (n - k)(1 - p)).
    """
    found = connect(home).read(
        "with seasons as (select season_year, min(game_date) - 7 as first_date,"
        " max(game_date) as last_date from data_quality_daily"
        f" where season_year in ({', '.join(map(str, seasons))}) group by season_year),"
        " looked as (select rule, season_year, count(*) as n,"
        " avg(cast(is_breached as int)) as p from alert_checks inner join seasons"
        " on checked_on between first_date and last_date group by all),"
        " raised as (select rule, season_year, count(*) as alerts,"
        " count(*) filter (severity = 'critical') as critical from alerts"
        " inner join seasons on opened_on between first_date and last_date"
        " group by all)"
        " select rules.rule, rules.severity, rules.checks_in_a_row as k,"
        " seasons.season_year, coalesce(alerts, 0) as alerts,"
        " coalesce(critical, 0) as critical, n, p"
        " from alert_rules as rules cross join seasons"
        " left join looked using (rule, season_year)"
        " left join raised using (rule, season_year) order by season_year"
    )
    p, k = found["p"], found["k"].astype(float)
    return found.assign(expected=p**k * (1 + (found["n"] - k) * (1 - p)))


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def season_name(year: int) -> str:
    return f"{year}-{(year + 1) % 100:02}"


def alarm_table(alarms: pd.DataFrame) -> str:
    """A row for each rule with its alerts by season, the critical ones among them."""
    names = [season_name(year) for year in sorted(set(alarms["season_year"]))]
    rows = []
    for rule, part in alarms.groupby("rule", sort=False):
        cells = [
            f"{one.alerts}" + (f" ({one.critical} critical)" if one.critical else "")
            for one in part.itertuples()
        ]
        rows.append([f"`{rule}`", part["severity"].iloc[0], *cells])
    return markdown(["Rule", "Severity", *names], rows)


def fault_table(planted: Sequence[Planted]) -> str:
    """A row for each fault: when it was planted, and when its rule saw it."""
    rows = [
        [
            one.fault.name,
            f"{one.start} to {one.end}",
            f"`{one.fault.rule}`",
            f"{(one.seen_on - one.start).days}" if one.seen_on else "**never**",
        ]
        for one in planted
    ]
    return markdown(["Fault", "Planted", "Seen by", "Days until it was seen"], rows)


def report(home: Home, models: dict[int, str]) -> None:
    """Print docs/alert-replay.md."""
    measured, alarms = accuracy(home, models), false_alarms(home, list(models))
    rows = [
        [
            season_name(one.season),
            f"{one.n:,}",
            f"{one.first_date:%Y-%m-%d} to {one.last_date:%Y-%m-%d}",
            *(f"{value:.3f}" for value in one[5:]),
        ]
        for one in measured.itertuples()
    ]
    header = ["Season", "N", "Dates", "model", "rule", "last-5", "last-10", "season"]
    fixed = alarms[alarms["rule"] == "mae_above_limit"]
    chance = [
        f"{season_name(one.season_year)}: {one.p:.0%} of {one.n} days,"
        f" {one.expected:.1f} expected, {one.alerts} seen"
        for one in fixed.itertuples()
    ]
    season, model_id = list(models.items())[-1]
    print(f"""# Alerts over past seasons

Printed by `make replay DATA=dir > docs/alert-replay.md`; a test compares its end.

Each season is replayed: a model of `python/config/training.yml` that knows only
earlier games predicts every game day, and all rules look at it. The {SEASONS} seasons
before are split for training, early stopping and test; those before them are training
rows. The seasons are healthy, so that every alert is a false alarm, but for
`model_too_old` and `retraining_missing`: nothing is retrained within a season. The
limits of several rules were set on these very seasons: another may see more alarms.

Population: everybody who played, with ten or more regular-season games before. Mean
absolute error in points, all on the same rows:

{markdown(header, rows)}

## False alarms

{alarm_table(alarms)}

The fixed limit, `mae_above_limit`, fires by chance: on many days with 100 or more
graded predictions of that population the error is above 4.5. Were the days independent,
three in a row would come this often: {"; ".join(chance)}.

## Planted faults

Into {season_name(season)}, one after another, each in a week of its own. Seen is the
morning after the check with which the alert opened; of a weekly rule, the Monday after.
""")
    planted = plant(home, model_id, openings(home)[season])
    print(fault_table(planted))
    if missed := [one.fault.name for one in planted if one.seen_on is None]:
        raise SystemExit(f"Not seen: {', '.join(missed)}.")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        report(home, prepare(home, Path(sys.argv[1]), seasons=99))


if __name__ == "__main__":
    main()
