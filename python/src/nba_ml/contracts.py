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
SQL_TYPES = {name: name for name in ARROW_TYPES} | {"float64": "double"}
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
    expressions, or mappings of `holds` (one), `broken` and maybe `step`.
    """

    name: str
    dataset: str
    columns: tuple[Column, ...]
    required: bool
    key: tuple[str, ...]
    newest: str | None = None
    unique: bool = True
    rules: tuple[str | dict[str, str], ...] = ()

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def relation(self) -> str:
        """Where BigQuery has it; the variables of dbt_project.yml say so."""
        return f"{self.dataset}.{self.name}"


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
    datasets = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    found = {}
    for source in yaml.safe_load(path.read_text())["sources"]:
        dataset = datasets[source["name"]]
        for table in source["tables"]:
            columns = []
            for column in table["columns"]:
                meta = known(column.get("config", {}).get("meta", {}), Column)
                columns.append(Column(column["name"], column["data_type"], **meta))
            meta = known(table["config"]["meta"], Table)
            found[table["name"]] = Table(table["name"], dataset, tuple(columns), **meta)
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


def violations(
    frame: pd.DataFrame, table: Table, clock: datetime
) -> tuple[Violation, ...]:
    """Every kind of rule that the frame breaks, each with a count and an example.

    The frame has Arrow types; columns that the contract does not know are left
    alone, and so are rules about columns that are absent. `clock` is naive UTC.
    """
    columns = {
        column.name: pa.Column(
            pd.ArrowDtype(ARROW_TYPES[column.type]),
            nullable=True,
            required=column.required,
        )
        for column in table.columns
    }
    known = {"today": league_date(clock), "teams": known_teams()}
    checks = []
    for rule, broken, step in _rules(table, known["today"]):
        words = re.findall(r"\w+", rule)
        names = [name for name in (*columns, "home_flag") if name in words]
        if set(names) <= set(frame):
            holds = partial(
                pd.DataFrame.eval, expr=rule, engine="python", local_dict=known
            )
            checks.append(_check(names, holds, broken, step))
    key = [name for name in (*table.key, table.newest) if name in frame]
    if table.unique and set(table.key) <= set(key):
        checks.append(
            _check(
                key,
                lambda rows: ~rows.duplicated(keep=False),
                "duplicate key",
                "Keep one row per key.",
            )
        )
    try:
        pa.DataFrameSchema(columns, checks=checks).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return tuple(_violation(frame, table, one) for one in error.schema_errors)
    return ()


def _rules(table: Table, today: date) -> Iterator[tuple[str, str, str]]:
    """What holds on every row, as a pandas expression; what is wrong; next step."""
    for column in table.columns:
        name = column.name
        if column.min is not None:
            yield f"{name} >= {column.min}", f"below {column.min}", REPAIR
        if column.max is not None:
            yield f"{name} <= {column.max}", f"above {column.max}", REPAIR
        if column.regex:
            fits = f"{name}.str.match({column.regex!r})"
            yield fits, f"not like {column.regex}", REPAIR
        if column.isin:
            fits = f"{name} in {column.isin} | {name}.isna()"
            yield fits, f"not one of {', '.join(column.isin)}", REPAIR
        if column.nullable is False:
            yield f"{name}.notna()", "NULL", f"Fill in {name} on every row."
        elif column.nullable == "played":
            yield (
                f"{name}.notna() | ~(minutes_played > 0)",
                "NULL on rows with minutes",
                "Fill it in, or give did-not-play rows 0 minutes.",
            )
    for rule in table.rules:
        if isinstance(rule, str):
            yield rule, f"not {rule}", REPAIR
        else:
            broken = rule["broken"].format(today=today)
            yield rule["holds"], broken, rule.get("step", REPAIR)


def _check(
    names: list[str], holds: Callable[[pd.DataFrame], pd.Series], broken: str, step: str
) -> pa.Check:
    # NULL compares to NULL, which breaks nothing but a rule about NULL itself.
    return pa.Check(
        lambda frame: holds(frame[names]).fillna(True).astype(bool),
        name=broken,
        ignore_na=False,
        # Counting uses the check's output; collecting every cell takes minutes.
        n_failure_cases=1,
        statistics={"columns": names, "step": step},
    )


def _violation(
    frame: pd.DataFrame, table: Table, error: pa.errors.SchemaError
) -> Violation:
    if error.reason_code is pa.errors.SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
        column = str(error.failure_cases)
        there = "the file has " + ", ".join(frame.columns)
        step = f"Add {column}, or rename the column that holds it."
        return Violation(table.name, "missing column", column, 0, there, step)
    if error.check_output is None:
        raise error
    bad = ~error.check_output.to_numpy(dtype=bool)
    columns, step = error.check.statistics["columns"], error.check.statistics["step"]
    row = frame.iloc[int(bad.argmax())]
    key = " ".join(str(row[name]) for name in table.key if name in frame)
    values = ", ".join(f"{name} = {row[name]}" for name in columns)
    names, count = ", ".join(columns), int(bad.sum())
    example = f"{key}: {values}"
    return Violation(table.name, error.check.name, names, count, example, step)
