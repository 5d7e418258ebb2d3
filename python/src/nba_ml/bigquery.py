"""BigQuery as the warehouse: Google's own client behind the methods of Warehouse."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import requests

from nba_ml.settings import UserError
from nba_ml.warehouse import Rows, WarehouseUnavailable, new_rows, typed

try:
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud import bigquery
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY
    from google.oauth2.credentials import Credentials
except ImportError as error:
    missing = f"BigQuery needs packages that are not installed ({error.name}). "
    raise UserError(missing + "Run: make bigquery") from None

REQUEST = 2_000_000  # bytes of rows as JSON; a request of BigQuery takes 10 MB
IMPORTED = "Made by nba-ml import, which replaces whole tables here."
_TYPES = {str: "STRING", bool: "BOOL", int: "INT64", float: "FLOAT64"}
_TYPES |= {datetime: "TIMESTAMP", date: "DATE"}
_OLD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_TIMEOUT = "job_execution_timeout_seconds"
_LIMITS = {"bytesBilledLimitExceeded": "NBA_ML_BIGQUERY_MAX_BYTES"}
_LIMITS |= dict.fromkeys(("stopped", "timeout"), "NBA_ML_BIGQUERY_TIMEOUT")
_OUT_OF_REACH = (exceptions.RetryError, requests.RequestException, TransportError)
_OUT_OF_REACH += (concurrent.futures.TimeoutError,)
_LATER = ("quotaExceeded", "rateLimitExceeded", "backendError", "internalError")


@dataclass(frozen=True)
class BigQuery:
    """The dataset that a dbt profile names (project, dataset, location, limits).

    Failed requests are repeated with the client library's backoff, for
    `job_retry_deadline_seconds` of the profile.
    """

    profile: Mapping[str, Any]
    storage = None  # a client of the Storage API; by default the library finds it

    @property
    def where(self) -> str:
        return f"{self.profile['project']}.{self.profile['dataset']}"

    @cached_property
    def client(self) -> bigquery.Client:
        """Credentials are the application's default ones, or the profile's token."""
        token, endpoint = self.profile.get("token"), self.profile.get("api_endpoint")
        with self._explained():
            return bigquery.Client(
                project=self.profile["project"],
                location=self.profile.get("location"),
                credentials=Credentials(token) if token else None,
                client_options={"api_endpoint": endpoint} if endpoint else None,
                default_query_job_config=bigquery.QueryJobConfig(
                    default_dataset=self.where,
                    maximum_bytes_billed=self.profile["maximum_bytes_billed"],
                    job_timeout_ms=1000 * self.profile[_TIMEOUT],
                ),
            )

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        return typed(self.read_arrow(sql, parameters))

    def read_arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of `sql` in BigQuery's own types, by the Storage API."""
        rows = self._query(sql, parameters)
        with self._explained():
            try:
                return rows.to_arrow(
                    bqstorage_client=self.storage,
                    create_bqstorage_client="api_endpoint" not in self.profile,
                )
            except exceptions.Forbidden:  # the role for it is missing; ask again
                rows = self._query(sql, parameters)
                return rows.to_arrow(create_bqstorage_client=False)

    def append(self, batch: Mapping[str, Rows]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for piece in _pieces(batch):
            inserts, parameters = "", []
            for table, rows in piece.items():
                fields = {field.name: field for field in self._fields(table)}
                columns, rows = new_rows(self.where, table, fields, rows)
                key = next(iter(fields))
                structs = [
                    bigquery.StructQueryParameter(
                        None, *(_parameter(fields[name], row) for name in columns)
                    )
                    for row in rows
                ]
                parameters.append(
                    bigquery.ArrayQueryParameter(table, "STRUCT", structs)
                )
                inserts += (
                    f"insert into {table} ({', '.join(f'`{n}`' for n in columns)})"
                    f" select {', '.join(f'batch.`{n}`' for n in columns)}"
                    f" from unnest(@{table}) as batch where batch.{key} not in"
                    f" (select {key} from {table} where {key} is not null);"
                    " set counts = array_concat(counts, [@@row_count]); "
                )
            script = (
                "declare counts array<int64> default []; begin transaction;"
                f" {inserts}commit transaction; select counts;"
            )
            name = hashlib.sha256(json.dumps(piece, default=str).encode()).hexdigest()
            result = self._run_once(f"nba_ml_{name}", script, parameters)
            [[new]] = [row.values() for row in result]
            for table, count in zip(piece, new, strict=True):
                counts[table] = counts.get(table, 0) + count
        return counts

    def columns(self, relation: str) -> list[str]:
        """Column names of `dataset.table`, lower case; none when it is absent."""
        return [field.name.lower() for field in self._fields(relation)]

    def bytes_of(self, sql: str) -> int:
        """How many bytes `sql` would scan: a dry run, which costs nothing."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        config.maximum_bytes_billed = 2**62  # nothing is billed
        with self._explained():
            job = self.client.query(
                sql, job_config=config, retry=self._retry, job_retry=None
            )
            return int(job.total_bytes_processed)

    def claim(self, relation: str) -> None:
        """Make the dataset of `dataset.table`, or see that import made it.

        Raises UserError for a dataset that somebody else made.
        """
        name, _, _ = relation.partition(".")
        dataset = bigquery.Dataset(f"{self.profile['project']}.{name}")
        dataset.location, dataset.description = self.profile.get("location"), IMPORTED
        with self._explained():
            try:
                found = self.client.get_dataset(dataset.reference, retry=self._retry)
            except exceptions.NotFound:
                found = self.client.create_dataset(dataset, retry=self._retry)
        if found.description != IMPORTED:
            raise UserError(
                f"{dataset.project}.{name} was not made by nba-ml import: it is "
                "yours and nothing is written there. Name another dataset in "
                "dbt_project.yml, or load the table yourself."
            )

    def load(self, relation: str, data: pa.Table) -> None:
        """Replace `dataset.table`, which was claimed, by `data` in one job.

        Whoever is cut off in between finds the old table or the new one.
        """
        table = f"{self.profile['project']}.{relation}"
        with self._explained():
            for place, field in enumerate(data.schema):
                if pa.types.is_timestamp(field.type):
                    moments = data[place].cast(pa.timestamp("us", tz="UTC"))
                    data = data.set_column(place, field.name, moments)
            sink = pa.BufferOutputStream()
            pyarrow.parquet.write_table(data, sink)
            config = bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.PARQUET,
                write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            )
            source = pa.BufferReader(sink.getvalue())
            tries = max(1, int(self._retry.timeout / 10))  # six in a minute
            job = self.client.load_table_from_file(
                source, table, job_config=config, num_retries=tries
            )
            job.result(self._retry, timeout=self.profile[_TIMEOUT])

    def _fields(self, relation: str) -> Sequence[bigquery.SchemaField]:
        base = self.profile["project"] if "." in relation else self.where
        with self._explained(), suppress(exceptions.NotFound):
            table = self.client.get_table(f"{base}.{relation}", retry=self._retry)
            return table.schema
        return []

    @property
    def _retry(self) -> Any:
        seconds = self.profile["job_retry_deadline_seconds"]
        return bigquery.DEFAULT_RETRY.with_timeout(seconds)

    def _query(self, sql: str, values: Sequence[Any]) -> Any:
        scalar = bigquery.ScalarQueryParameter
        parameters = [scalar(None, _TYPES[type(value)], value) for value in values]
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        patience = DEFAULT_JOB_RETRY.with_timeout(self._retry.timeout)
        with self._explained():
            return self.client.query_and_wait(
                sql, job_config=config, retry=self._retry, job_retry=patience
            )

    def _run_once(self, name: str, sql: str, parameters: Sequence[Any]) -> Any:
        """Run `sql` as the job `name`, or anew when that job has ended.

        Transactions that insert do not see each other: two that deliver the same
        rows at once would both insert them. By name the second finds the first.
        """
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        # job_retry would go on for 20 minutes, whatever retry says
        options = {"job_config": config, "retry": self._retry, "job_retry": None}
        seconds = self.profile[_TIMEOUT]
        with self._explained():
            try:
                job = self.client.query(sql, job_id=name, **options)
            except exceptions.Conflict:
                self.client.get_job(name, retry=self._retry).exception(seconds)
                job = self.client.query(sql, **options)
            return job.result(retry=self._retry, timeout=seconds)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Google's errors as sentences that say what to do."""
        try:
            yield
        except exceptions.GoogleAPICallError as error:
            reasons = {e.get("reason") for e in error.errors if isinstance(e, dict)}
            text = _first_line(error.message or error)
            if isinstance(error, exceptions.NotFound):
                raise UserError(self._not_found(text)) from error
            is_busy = error.code == 429 or (error.code or 0) >= 500
            if is_busy or reasons & {*_LATER} or "concurrent update" in text:
                raise self._later(text) from error
            if isinstance(error, exceptions.Forbidden):
                text += ". Roles, and datasets that you lack: docs/bigquery.md."
            for reason, variable in _LIMITS.items():
                if reason in reasons:
                    text += f". The limit is {variable}."
            raise UserError(f"BigQuery, {self.where}: {text}") from error
        except _OUT_OF_REACH as error:
            raise self._later(_first_line(error)) from error
        except GoogleAuthError as error:
            raise UserError(
                f"No credentials for BigQuery: {_first_line(error)} "
                "Run: gcloud auth application-default login"
            ) from error

    def _not_found(self, text: str) -> str:
        found = re.search(r"Table \S+[:.](\w+)\.(\w+)", text)
        if found is None:
            where = f"NBA_ML_BIGQUERY_LOCATION is {self.client.location}"
            return f"{text}. Run: dbt build, if {where} is right"
        if found[1] != self.profile["dataset"]:
            return f"There is no source {found[1]}.{found[2]}; see dbt_project.yml"
        return f"{found[2]} is not built in {self.where}. Run: dbt build -s {found[2]}"

    def _later(self, text: str) -> WarehouseUnavailable:
        return WarehouseUnavailable(
            f"BigQuery, {self.where}, did not do it: {text}. "
            "Nothing was lost; run this again later."
        )


def _first_line(error: object) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _parameter(field: bigquery.SchemaField, row: Mapping[str, Any]) -> Any:
    value, kind = row.get(field.name), field.field_type
    kind = _OLD_NAMES.get(kind, kind)
    if field.mode == "REPEATED":
        return bigquery.ArrayQueryParameter(field.name, kind, value or [])
    return bigquery.ScalarQueryParameter(field.name, kind, value)


def _pieces(batch: Mapping[str, Rows]) -> Iterator[dict[str, list[Mapping[str, Any]]]]:
    """The batch in parts that fit a request, each a transaction of its own."""
    piece: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    size = 0
    # what makes a model visible comes when all else is there
    for table in sorted(batch, key="model_events".__eq__):
        for row in batch[table]:
            size += len(json.dumps(row, default=str))
            if size > REQUEST and piece:
                yield piece
                piece, size = defaultdict(list), 0
            piece[table].append(row)
    if piece:
        yield piece
