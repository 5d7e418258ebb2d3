"""The same project on DuckDB and on the BigQuery emulator, and what differs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bigquery_emulator import Emulator
from nba_ml import bigquery, warehouse
from nba_ml.bigquery import BigQuery
from nba_ml.settings import PROJECT, Home
from nba_ml.warehouse import DuckDB

TOLERANCE = 1e-9  # relative, above 1; absolute below


@dataclass(frozen=True)
class Engines:
    """One state folder, whose tables both engines have; `as_of` is the clock."""

    home: Home
    emulator: Emulator
    as_of: str
    # what Python asked BigQuery, with the types of the parameters
    asked: dict[str, list[str]] = field(default_factory=dict)

    @property
    def duckdb(self) -> DuckDB:
        return DuckDB(self.home.warehouse)

    @property
    def bigquery(self) -> BigQuery:
        found = warehouse.connect(Home(self.home.root, "bigquery_emulator"))
        assert isinstance(found, BigQuery)
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that make the emulator the target, at the clock."""
        own = {"NBA_ML_HOME": str(self.home.root), "NBA_ML_AS_OF": self.as_of}
        return self.emulator.variables | own

    def dbt(self, target: str, *arguments: str) -> str:
        """Run dbt on one engine; returns what it prints. Raises on any failure."""
        folders = ["--target-path", str(self.home.root / f"target-{target}")]
        folders += ["--log-path", str(self.home.root / "logs")]
        variables = self.variables | {"NBA_ML_TARGET": target}
        variables["DBT_PROFILES_DIR"] = str(PROJECT / "profiles")
        done = subprocess.run(
            [PROJECT / ".venv/bin/dbt", *arguments, *folders],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            env=os.environ | variables,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout

    def record(self, patch: pytest.MonkeyPatch) -> None:
        """Keep what Python asks BigQuery from now on, by statement."""
        ask, run = BigQuery._query, BigQuery._run_once

        def asked(engine: BigQuery, sql: str, values: Sequence[Any]) -> Any:
            self.asked[sql] = [bigquery._TYPES[type(value)] for value in values]
            return ask(engine, sql, values)

        def run_once(
            engine: BigQuery, name: str, sql: str, parameters: Sequence[Any]
        ) -> Any:
            types = {one.name: one.to_api_repr()["parameterType"] for one in parameters}
            for part in sql.split("; "):
                # the rest are BigQuery's variables and transactions
                if "insert into" in part:
                    [name_] = re.findall(r"@(\w+)\)", part)
                    statement = part[part.index("insert into") :]
                    spelt = spelled(types[name_])
                    self.asked[statement.replace(f"@{name_}", "?")] = [spelt]
            return run(engine, name, sql, parameters)

        patch.setattr(BigQuery, "_query", asked)
        patch.setattr(BigQuery, "_run_once", run_once)

    def relations(self) -> list[str]:
        """Tables and views that dbt built; both engines must have the same."""
        found = self.duckdb.read(
            "select table_name from information_schema.tables"
            " where table_schema = 'nba_ml' order by table_name"
        )
        names = [str(name) for name in found["table_name"]]
        there = self.bigquery.client.list_tables("local.nba_ml")
        assert {table.table_id for table in there} ^ set(names) == set()
        return names

    def differences(self, relation: str) -> list[str]:
        """What differs between the engines in one relation, row by row."""
        sql = f"select * from {relation}"
        return differences(relation, self.duckdb.read(sql), self.bigquery.read(sql))


def spelled(kind: dict[str, Any]) -> str:
    """A parameter's type as GoogleSQL writes it."""
    if kind["type"] == "ARRAY":
        return f"array<{spelled(kind['arrayType'])}>"
    if kind["type"] == "STRUCT":
        inside = [f"{f['name']} {spelled(f['type'])}" for f in kind["structTypes"]]
        return f"struct<{', '.join(inside)}>"
    return str(kind["type"])


# What names the engine, or the run, and so may differ.
OWN = {
    "build_info": ["built_at", "dbt_invocation_id", "target_name"],
    "feature_catalog": ["data_type"],
}


def differences(relation: str, one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Keys, text, integers and times exactly; floats within TOLERANCE; [] as NULL."""
    one, other = (f.drop(columns=OWN.get(relation, [])) for f in (one, other))
    kinds = [
        list(zip(f.columns, f.dtypes.astype(str), strict=True)) for f in (one, other)
    ]
    if kinds[0] != kinds[1]:
        return [f"{relation}: columns {kinds[0]} and {kinds[1]}"]
    if len(one) != len(other):
        return [f"{relation}: {len(one)} and {len(other)} rows"]
    one, other = _ordered(one), _ordered(other)
    found = []
    for name in one:
        left, right = one[name], other[name]
        if left.dtype == float:
            size = np.maximum(1, left.abs())
            same = (left - right).abs().le(TOLERANCE * size) | (
                left.isna() & right.isna()
            )
        else:
            same = left.eq(right).fillna(False) | (left.isna() & right.isna())
        if not same.all():
            place = int((~same).to_numpy().argmax())
            found.append(
                f"{relation}.{name}: {(~same).sum()} of {len(one)} rows, such as"
                f" {left[place]!r} and {right[place]!r}"
            )
    return found


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in an order that does not depend on the engine; lists as text."""
    frame = frame.copy()
    for name in [n for n in frame if frame[n].dtype.kind == "O"]:
        if any(isinstance(value, np.ndarray) for value in frame[name]):
            frame[name] = [
                None if value is None or not len(value) else repr(value.tolist())
                for value in frame[name]
            ]
    floats = [name for name in frame if frame[name].dtype == float]
    keys = frame.drop(columns=floats).astype(str)
    keys[floats] = frame[floats].round(6)
    # not in the order of the columns: the ids that tell rows apart come first
    order = keys.sort_values(list(keys), kind="stable").index
    return frame.loc[order].reset_index(drop=True)
