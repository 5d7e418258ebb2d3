"""The warehouse: short reads and idempotent appends, no connection kept.

Two implementations behind the same few methods: a DuckDB file here, BigQuery in
bigquery.py, whose packages nobody needs who does not use it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd
import pyarrow as pa

from nba_ml.settings import Home, UserError

SCHEMA = "nba_ml"
Rows = Sequence[Mapping[str, Any]]


class WarehouseUnavailable(UserError):
    """Missing, locked, out of reach or out of quota just now; nothing was lost."""


class Warehouse(Protocol):
    """What both engines do. Relations are named without their schema."""

    @property
    def where(self) -> str:
        """What a person would look for: the file, or project and dataset."""

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of `sql` (parameters are `?`), typed alike on both engines.

        Integers are Int64, booleans boolean, decimals and floats float64,
        dates and timestamps (UTC) datetime64[us], whether NULLs occur or not.
        Raises UserError for a missing or unbuilt relation, WarehouseUnavailable
        when another attempt may succeed.
        """

    def append(self, batch: Mapping[str, Rows]) -> dict[str, int]:
        """Append rows that are not there yet; return how many were new, by table.

        One transaction, on BigQuery one for each part that fits a request, model_events
        last. Twice the same adds nothing. The first column of a table is the id
        that decides what is new. Columns are named in the insert, so a column
        added by dbt stays NULL instead of shifting every value by one.
        Raises UserError for an unknown table or column, or an unfit value.
        """


def connect(home: Home) -> Warehouse:
    """The warehouse of the target that `home` has."""
    if home.profile["type"] == "bigquery":
        from nba_ml.bigquery import BigQuery

        return BigQuery(home.profile)
    return DuckDB(home.warehouse)


@dataclass(frozen=True)
class DuckDB:
    """One DuckDB file, opened for one batch of statements at a time.

    `patience` is how many seconds to wait for a file that another process
    holds: one writer shuts out everybody, one reader shuts out the writer.
    """

    path: Path
    patience: float = 5.0

    @property
    def where(self) -> str:
        return str(self.path)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        with self._open(read_only=True) as connection:
            return typed(connection.sql(sql, params=list(parameters)).to_arrow_table())

    def append(self, batch: Mapping[str, Rows]) -> dict[str, int]:
        with self._open(read_only=False) as connection:
            connection.execute("begin")
            counts = {
                table: _append(connection, self.where, table, rows)
                for table, rows in batch.items()
            }
            connection.execute("commit")
        return counts

    @contextmanager
    def _open(self, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            raise WarehouseUnavailable(
                f"There is no warehouse at {self.path}. Run: make build (or dbt build)"
            )
        connection = self._connect(read_only)
        try:
            connection.execute(f"set schema = '{SCHEMA}'")
            yield connection
        except duckdb.CatalogException as error:
            name = re.search(r"with name \"?([\w.]+)", str(error))
            relation = name.group(1).split(".")[-1] if name else SCHEMA
            selection = f" -s {relation}" if name else ""
            raise UserError(
                f"{relation} is not built in {self.path}. Run: dbt build{selection}"
            ) from error
        except duckdb.Error as error:
            raise UserError(f"{self.path}: {str(error).splitlines()[0]}") from error
        finally:
            connection.close()

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only)
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not re.search("lock on file|different configuration", str(error)):
                    raise UserError(f"{self.path} cannot be opened: {error}") from error
                if time.monotonic() > deadline:
                    holder = re.search(r"held in (.+?\(PID \d+\))", str(error))
                    by = holder.group(1) if holder else "another process"
                    raise WarehouseUnavailable(
                        f"{self.path} is in use by {by}. "
                        "Nothing was changed; run this again when it is done."
                    ) from error
                time.sleep(0.1)


def _append(
    connection: duckdb.DuckDBPyConnection, where: str, table: str, rows: Rows
) -> int:
    types = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns()"
            " where schema_name = ? and table_name = ? order by column_index",
            [SCHEMA, table],
        ).fetchall()
    )
    columns, rows = new_rows(where, table, types, rows)
    key = next(iter(types))
    try:
        values = {name: pa.array([row.get(name) for row in rows]) for name in columns}
    except pa.ArrowException as error:
        raise UserError(f"Rows for {table} do not fit together: {error}") from error
    connection.register("batch", pa.table(values))
    casts = [f'cast(batch."{name}" as {types[name]}) as "{name}"' for name in columns]
    inserted = connection.execute(
        f"insert into {table} by name select {', '.join(casts)}"
        f" from batch anti join {table} on batch.{key} = {table}.{key}"
    ).fetchone()
    connection.unregister("batch")
    return int(inserted[0]) if inserted else 0


def new_rows(
    where: str, table: str, known: Collection[str], rows: Rows
) -> tuple[list[str], list[Mapping[str, Any]]]:
    """The columns that `rows` fill, and one row per id; refuses what does not fit.

    `known` are the table's columns in their order, its id first; none means that
    there is no such table.
    """
    next_step = f"Run: dbt build -s {table}"
    if not known:
        raise UserError(f"The event table {table} is not built in {where}. {next_step}")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if unknown := ", ".join(name for name in columns if name not in known):
        raise UserError(f"{table} in {where} has no column {unknown}. {next_step}")
    key = next(iter(known))
    if any(not row.get(key) for row in rows):
        raise UserError(f"A row for {table} has no {key}, so it cannot be told apart.")
    return columns, list({row[key]: row for row in reversed(rows)}.values())


def typed(table: pa.Table) -> pd.DataFrame:
    """A frame whose types do not depend on the engine (Warehouse.read)."""
    plain = pa.schema(field.with_type(_plain(field.type)) for field in table.schema)
    return table.cast(plain).to_pandas(types_mapper=_DTYPES.get)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of `Warehouse.read` as JSON has them: moments in ISO 8601, None for NULL."""
    text = frame.to_json(orient="records", date_format="iso", double_precision=10)
    found: list[dict[str, Any]] = json.loads(text)
    return found


_DTYPES = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def _plain(kind: pa.DataType) -> pa.DataType:
    # DuckDB sums integers to HUGEINT, which arrives as a decimal without digits
    is_decimal = pa.types.is_decimal(kind)
    if pa.types.is_integer(kind) or (is_decimal and not kind.scale):
        return pa.int64()
    if is_decimal or pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    return kind
