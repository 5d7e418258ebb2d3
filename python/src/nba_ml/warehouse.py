"""The warehouse file: short reads and idempotent appends, no connection kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from nba_ml.settings import UserError

SCHEMA = "nba_ml"
Rows = Sequence[Mapping[str, Any]]


class WarehouseLocked(UserError):
    """Another process has the file open; nothing was read or written."""


class WarehouseMissing(UserError):
    """There is no warehouse file yet."""


@dataclass(frozen=True)
class Warehouse:
    """One DuckDB file, opened for one batch of statements at a time.

    `patience` is how many seconds to wait for a file that another process
    holds: one writer shuts out everybody, one reader shuts out the writer.
    """

    path: Path
    patience: float = 5.0

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of `sql`, names resolved in schema nba_ml, typed for pandas.

        Integers are Int64, booleans boolean, decimals and floats float64,
        dates and timestamps datetime64[us], whether NULLs occur or not.
        Raises UserError for a missing, locked or unbuilt relation.
        """
        with self._open(read_only=True) as connection:
            table = connection.sql(sql, params=list(parameters)).to_arrow_table()
        plain = pa.schema(field.with_type(_plain(field.type)) for field in table.schema)
        return table.cast(plain).to_pandas(types_mapper=_DTYPES.get)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement for its effect."""
        with self._open(read_only=False) as connection:
            connection.execute(sql, parameters)

    def append(self, batch: Mapping[str, Rows]) -> dict[str, int]:
        """Append rows that are not there yet; return how many were new, by table.

        One transaction for all tables. The first column of a table is the id
        that decides what is new. Columns are named in the insert, so a column
        added by dbt stays NULL instead of shifting every value by one.
        Raises UserError for an unknown table or column, or an unfit value.
        """
        with self._open(read_only=False) as connection:
            connection.execute("begin")
            counts = {
                table: _append(connection, self.path, table, rows)
                for table, rows in batch.items()
            }
            connection.execute("commit")
        return counts

    @contextmanager
    def _open(self, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self.path.exists():
            raise WarehouseMissing(
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
                    raise WarehouseLocked(
                        f"{self.path} is in use by {by}. "
                        "Nothing was changed; run this again when it is done."
                    ) from error
                time.sleep(0.1)


def _append(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, rows: Rows
) -> int:
    types = dict(
        connection.execute(
            "select column_name, data_type from duckdb_columns()"
            " where schema_name = ? and table_name = ? order by column_index",
            [SCHEMA, table],
        ).fetchall()
    )
    if not types:
        raise UserError(
            f"The event table {table} is not built in {path}. Run: dbt build -s {table}"
        )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    unknown = [name for name in columns if name not in types]
    if unknown:
        raise UserError(
            f"{table} in {path} has no column {', '.join(unknown)}. "
            f"Run: dbt build -s {table}"
        )
    key = next(iter(types))
    if any(not row.get(key) for row in rows):
        raise UserError(f"A row for {table} has no {key}, so it cannot be told apart.")
    try:
        values = {name: pa.array([row.get(name) for row in rows]) for name in columns}
    except pa.ArrowException as error:
        raise UserError(f"Rows for {table} do not fit together: {error}") from error
    connection.register("batch", pa.table(values))
    casts = [f'cast(batch."{name}" as {types[name]}) as "{name}"' for name in columns]
    inserted = connection.execute(
        f"insert into {table} by name select distinct on ({key}) {', '.join(casts)}"
        f" from batch anti join {table} on batch.{key} = {table}.{key}"
    ).fetchone()
    connection.unregister("batch")
    return int(inserted[0]) if inserted else 0


_DTYPES = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    return kind
