"""The contracts of the sources: pandera schemas made from `_staging__sources.yml`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from functools import cache, partial
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow
import yaml

from nba_ml.settings import PROJECT

ARROW_TYPES = {
    "string": pyarrow.string(),
    "date": pyarrow.date32(),
    "int64": pyarrow.int64(),
    "float64": pyarrow.float64(),
    "bool": pyarrow.bool_(),
    "timestamp": pyarrow.timestamp("us"),
}
REPAIR = "Repair these rows in the source, then import again."


@dataclass(frozen=True)
class Column:
    """One column of a contract; `nullable` is True, False or `played`."""

    name: str
    type: str
    required: bool = False
    nullable: bool | str = True
    min: float | None = None
    max: float | None = None
    regex: str | None = None
    isin: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """The contract of one source table.

    `key` is unique, unless rows of one key differ in the timestamp `newest`, or
    `unique` is false because staging keeps one of them. `rules` are pandas
    expressions over columns that hold on every row.
    """

    name: str
    columns: tuple[Column, ...]
    required: bool
    key: tuple[str, ...]
    newest: str | None = None
    unique: bool = True
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Violation:
    """One kind of broken rule: how many rows, one of them, and what to do."""

    table: str
    rule: str
    column: str
    count: int
    example: str
    next_step: str

    def __str__(self) -> str:
        rows = f"{self.count:,} rows, such as " if self.count else ""
        where = f"{self.table}.{self.column}"
        return f"{where}: {self.rule}; {rows}{self.example}. {self.next_step}"


@cache
def tables() -> dict[str, Table]:
    """Every contract by table name, as models/staging/_staging__sources.yml has it."""

    def known(meta: dict[str, Any], row: type) -> dict[str, Any]:
        names = {field.name for field in fields(row)}
        meta = {name: value for name, value in meta.items() if name in names}
        return {k: tuple(v) if isinstance(v, list) else v for k, v in meta.items()}

    path = PROJECT / "models/staging/_staging__sources.yml"
    found = {}
    for source in yaml.safe_load(path.read_text())["sources"]:
        for table in source["tables"]:
            columns = []
            for column in table["columns"]:
                meta = known(column.get("config", {}).get("meta", {}), Column)
                columns.append(Column(column["name"], column["data_type"], **meta))
            meta = known(table["config"]["meta"], Table)
            found[table["name"]] = Table(table["name"], tuple(columns), **meta)
    return found


@cache
def known_teams() -> tuple[str, ...]:
    """The tricodes of seeds/teams.csv, in its order."""
    with (PROJECT / "seeds/teams.csv").open(newline="") as lines:
        return tuple(row["team_abbr"] for row in csv.DictReader(lines))


def league_date(clock: datetime) -> date:
    """The league's calendar date at a naive UTC moment: no result is newer."""
    # Five hours back is Eastern standard time; in summer that turns the date an
    # hour late, when no game of the new day has ended yet.
    return (clock - timedelta(hours=5)).date()


def schema(
    table: Table, present: frozenset[str], clock: datetime
) -> pa.DataFrameSchema:
    """The pandera schema of a table whose frame has the columns `present`.

    The frame holds Arrow types. Rules about absent columns are left out, but an
    absent required column is an error of its own.
    """
    columns = {}
    for column in table.columns:
        if column.required or column.name in present:
            columns[column.name] = pa.Column(
                pd.ArrowDtype(ARROW_TYPES[column.type]),
                checks=_limits(column),
                nullable=column.nullable is not False,
            )
    checks = [
        _check(holds, broken, names.split(), step)
        for names, broken, holds, step in _row_rules(table, present, clock)
        if present.issuperset(names.split())
    ]
    return pa.DataFrameSchema(columns, checks=checks)


def violations(
    frame: pd.DataFrame, table: Table, clock: datetime
) -> tuple[Violation, ...]:
    """Every kind of rule that the frame breaks, each with a count and an example.

    The frame has Arrow types; columns that the contract does not know are left
    alone. `clock` is naive UTC.
    """
    try:
        schema(table, frozenset(frame.columns), clock).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return tuple(_violation(frame, table, one) for one in error.schema_errors)
    return ()


def _limits(column: Column) -> list[pa.Check]:
    checks = []
    if column.min is not None:
        checks.append(_check(lambda s: s >= column.min, f"below {column.min}"))
    if column.max is not None:
        checks.append(_check(lambda s: s <= column.max, f"above {column.max}"))
    if column.regex:
        fits = column.regex
        checks.append(_check(lambda s: s.str.match(fits), f"not like {fits}"))
    if column.isin:
        known = column.isin
        checks.append(
            _check(lambda s: s.isin(known) | s.isna(), f"not one of {', '.join(known)}")
        )
    return checks


def _row_rules(
    table: Table, present: frozenset[str], clock: datetime
) -> Iterator[tuple[str, str, Callable[[pd.DataFrame], pd.Series], str]]:
    """Rules about whole rows: columns needed, what is wrong, the test, next step."""
    if table.unique:
        key = [*table.key, *({table.newest} & present)]
        step = "Keep one row per key."
        yield (
            " ".join(key),
            "duplicate key",
            lambda f: ~f.duplicated(key, keep=False),
            step,
        )
    for rule in table.rules:
        names = {c.name for c in table.columns}.intersection(re.findall(r"\w+", rule))
        test = partial(pd.DataFrame.eval, expr=rule, engine="python")
        yield " ".join(sorted(names)), f"not {rule}", test, REPAIR
    for column in table.columns:
        if column.nullable == "played":
            yield (
                f"minutes_played {column.name}",
                "NULL on rows with minutes",
                lambda f, c=column.name: f[c].notna() | ~_true(f["minutes_played"] > 0),
                "Fill it in, or give did-not-play rows 0 minutes.",
            )
    yield (
        "game_id game_date",
        "the date differs from the one in game_id",
        lambda f: _digits(f["game_date"]) == f["game_id"].str[:8],
        "Use the league-local date of the game, not a UTC date.",
    )
    yield (
        "game_id away_team_abbr home_team_abbr",
        "game_id is not YYYYMMDD_AWAY_HOME of these teams",
        lambda f: _is_game(f, "away_team_abbr", "home_team_abbr"),
        "Write the visiting team first in game_id.",
    )
    yield (
        "game_id team_abbr opponent_team_abbr",
        "team and opponent are not the two teams of game_id",
        lambda f: (
            _is_game(f, "team_abbr", "opponent_team_abbr")
            | _is_game(f, "opponent_team_abbr", "team_abbr")
        ),
        REPAIR,
    )
    yield (
        "game_id team_abbr home_flag",
        "game_id is reversed: its last team is not the home team by home_flag",
        lambda f: f["home_flag"] == (f["team_abbr"] == f["game_id"].str[13:]),
        "Write game_id as YYYYMMDD_AWAY_HOME.",
    )
    yield (
        "team_abbr",
        "no team of seeds/teams.csv",
        lambda f: f["team_abbr"].isin(known_teams()) | f["team_abbr"].isna(),
        "Use the NBA tricode, or add the team to seeds/teams.csv.",
    )
    today = league_date(clock)
    yield (
        "game_date minutes_played",
        f"an outcome dated after the clock ({today})",
        lambda f: ~(_true(f["game_date"] > today) & _true(f["minutes_played"] > 0)),
        "Remove them, or unset NBA_ML_AS_OF if that clock is not meant.",
    )


def _check(
    holds: Callable[[Any], pd.Series],
    broken: str,
    columns: list[str] | None = None,
    step: str = REPAIR,
) -> pa.Check:
    # NULL compares to NULL, which breaks nothing: whether it may be there is
    # the business of `nullable`.
    return pa.Check(
        lambda data: ~_true(~holds(data)),
        name=broken,
        ignore_na=False,
        # Counting uses the check's output; collecting every cell takes minutes.
        n_failure_cases=1,
        statistics={"columns": columns, "step": step},
    )


def _violation(
    frame: pd.DataFrame, table: Table, error: pa.errors.SchemaError
) -> Violation:
    reason = pa.errors.SchemaErrorReason
    if error.reason_code is reason.COLUMN_NOT_IN_DATAFRAME:
        column = str(error.failure_cases)
        there = "the file has " + ", ".join(frame.columns)
        step = f"Add {column}, or rename the column that holds it."
        return Violation(table.name, "missing column", column, 0, there, step)
    if error.reason_code is reason.SERIES_CONTAINS_NULLS:
        column = error.schema.name
        bad = frame[column].isna().to_numpy()
        rule, columns, step = "NULL", [column], f"Fill in {column} on every row."
    elif error.check_output is not None:
        bad = ~error.check_output.to_numpy(dtype=bool)
        rule, step = error.check.name, error.check.statistics["step"]
        columns = error.check.statistics["columns"] or [error.schema.name]
    else:
        raise error
    row = frame.iloc[int(bad.argmax())]
    key = " ".join(str(row[name]) for name in table.key if name in frame)
    values = ", ".join(f"{name} = {row[name]}" for name in columns)
    example, names = f"{key}: {values}", ", ".join(columns)
    return Violation(table.name, rule, names, int(bad.sum()), example, step)


def _true(values: pd.Series) -> pd.Series:
    return values.fillna(False).astype(bool)


def _digits(dates: pd.Series) -> pd.Series:
    return dates.astype("string[pyarrow]").str.replace("-", "")


def _is_game(frame: pd.DataFrame, away: str, home: str) -> pd.Series:
    game = frame["game_id"]
    return (game.str[9:12] == frame[away]) & (game.str[13:] == frame[home])
