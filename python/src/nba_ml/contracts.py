"""The contracts of the sources: pandera schemas made from `_staging__sources.yml`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache

import pandas as pd
import pandera.pandas as pa
import pyarrow
import yaml

from nba_ml.settings import PROJECT, league_date

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
    """One column of a contract, in the words that head the YAML."""

    name: str
    type: str
    required: bool = False
    nullable: bool | str = True
    min: float | None = None
    max: float | None = None
    regex: str | None = None
    isin: Sequence[str] = ()
    known_at: str | None = None


@dataclass(frozen=True)
class Rule:
    """A pandas expression that holds on every row, its name when broken, what to do."""

    holds: str
    broken: str
    step: str = REPAIR


@dataclass(frozen=True)
class Table:
    """The contract of one source table, in the words that head the YAML."""

    name: str
    dataset: str
    columns: Sequence[Column]
    required: bool
    key: Sequence[str]
    newest: str | None = None
    unique: bool = True
    beside: dict[str, str] = field(default_factory=dict)
    rules: Sequence[str | Mapping[str, str]] = ()

    @property
    def types(self) -> dict[str, str]:
        """The type of every column that is read, those of `beside` last."""
        return {column.name: column.type for column in self.columns} | self.beside

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
    path = PROJECT / "models/staging/_staging__sources.yml"
    datasets = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    found = {}
    for source in yaml.safe_load(path.read_text())["sources"]:
        for table in source["tables"]:
            name, meta = table["name"], table["config"]["meta"]
            columns = [
                Column(c["name"], c["data_type"], **c.get("config", {}).get("meta", {}))
                for c in table["columns"]
            ]
            found[name] = Table(name, datasets[source["name"]], columns, **meta)
    return found


@cache
def known_teams() -> tuple[str, ...]:
    """The tricodes of seeds/teams.csv, in its order."""
    with (PROJECT / "seeds/teams.csv").open(newline="") as lines:
        return tuple(row["team_abbr"] for row in csv.DictReader(lines))


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
    rules = []
    for rule in _rules(table):
        words = re.findall(r"\w+", rule.holds)
        rules.append((rule, [name for name in table.types if name in words]))
    if table.unique:
        rule = Rule(
            "~@rows.duplicated(keep=False)", "duplicate key", "Keep one row per key."
        )
        newest = [table.newest] if table.newest in frame else []
        rules.append((rule, [*table.key, *newest]))
    today = league_date(clock)
    checks = [
        _check(rule, names, today) for rule, names in rules if set(names) <= set(frame)
    ]
    try:
        pa.DataFrameSchema(columns, checks=checks).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return tuple(_violation(frame, table, one) for one in error.schema_errors)
    return ()


def _rules(table: Table) -> Iterator[Rule]:
    for column in table.columns:
        name, regex = column.name, column.regex
        if column.min is not None:
            yield Rule(f"{name} >= {column.min}", f"below {column.min}")
        if column.max is not None:
            yield Rule(f"{name} <= {column.max}", f"above {column.max}")
        if regex:
            yield Rule(f"{name}.str.match({regex!r})", f"not like {regex}")
        if column.isin:
            broken = f"not one of {', '.join(column.isin)}"
            yield Rule(f"{name} in {column.isin} | {name}.isna()", broken)
        if column.nullable is False:
            yield Rule(f"{name}.notna()", "NULL", f"Fill in {name} on every row.")
        elif column.nullable == "played":
            yield Rule(
                f"{name}.notna() | ~(minutes_played > 0)",
                "NULL on rows with minutes",
                "Fill it in, or give did-not-play rows 0 minutes.",
            )
    for rule in table.rules:
        yield Rule(rule, f"not {rule}") if isinstance(rule, str) else Rule(**rule)


def _check(rule: Rule, names: list[str], today: date) -> pa.Check:
    def holds(frame: pd.DataFrame) -> pd.Series:
        rows = frame[names]
        known = {"rows": rows, "today": today, "teams": known_teams()}
        found = rows.eval(rule.holds, engine="python", local_dict=known)
        # NULL compares to NULL, which breaks nothing but a rule about NULL itself.
        return found.fillna(True).astype(bool)

    return pa.Check(
        holds,
        name=rule.broken.replace("{today}", str(today)),
        ignore_na=False,
        # Counting uses the check's output; collecting every cell takes minutes.
        n_failure_cases=1,
        statistics={"columns": names, "step": rule.step},
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
    row, columns = frame.iloc[bad.argmax()], error.check.statistics["columns"]
    key = " ".join(str(row[name]) for name in table.key if name in frame)
    example = f"{key}: " + ", ".join(f"{name} = {row[name]}" for name in columns)
    rule, step = error.check.name, error.check.statistics["step"]
    names, count = ", ".join(columns), int(bad.sum())
    return Violation(table.name, rule, names, count, example, step)
