"""BigQuery as the warehouse: Google's own client behind the methods of Warehouse."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, partial
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
    from google.cloud import bigquery, bigquery_storage
    from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY
    from google.oauth2.credentials import Credentials
except ImportError as error:
    raise UserError(
        f"BigQuery needs packages that are not installed ({error.name}). "
        "Run: make bigquery"
    ) from None

REQUEST = 4_000_000  # bytes of rows in one request; BigQuery takes 10 MB
IMPORTED = "Made by nba-ml import, which replaces whole tables here."
_TYPES = {str: "STRING", bool: "BOOL", int: "INT64", float: "FLOAT64"}
_TYPES |= {datetime: "TIMESTAMP", date: "DATE"}
_TIMEOUT = "job_execution_timeout_seconds"
_LATER = ("quotaExceeded", "rateLimitExceeded", "backendError", "internalError")


@dataclass(frozen=True)
class BigQuery:
    """The dataset that a dbt profile names (project, dataset, location, limits).

    Failed requests are repeated with the client library's backoff, for
    `job_retry_deadline_seconds` of the profile.
    """

    profile: Mapping[str, Any]

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

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._query(sql, [_scalar(value) for value in parameters])

    def read_arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of `sql` in BigQuery's own types, by the Storage API."""
        rows = self._query(sql, [_scalar(value) for value in parameters])
        with self._explained():
            try:
                return rows.to_arrow(
                    bqstorage_client=self._storage,
                    create_bqstorage_client="api_endpoint" not in self.profile,
                )
            except exceptions.Forbidden:  # the role for it is missing
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
            result = self._query(
                "declare counts array<int64> default []; begin transaction;"
                f" {inserts}commit transaction; select counts;",
                parameters,
            )
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
            job = self.client.query(sql, job_config=config, retry=self._retry)
            return int(job.total_bytes_processed)

    def load(self, relation: str, data: pa.Table) -> None:
        """Replace `dataset.table` by `data` in one job; a new dataset is marked ours.

        Whoever is cut off in between finds the old table or the new one. Raises
        UserError, before anything changes, for a dataset that somebody else made.
        """
        table = f"{self.profile['project']}.{relation}"
        dataset = bigquery.Dataset(table.rpartition(".")[0])
        dataset.location, dataset.description = self.profile.get("location"), IMPORTED
        with self._explained():
            try:
                found = self.client.get_dataset(dataset.reference, retry=self._retry)
            except exceptions.NotFound:
                found = self.client.create_dataset(dataset, retry=self._retry)
            if found.description != IMPORTED:
                raise UserError(
                    f"{dataset.project}.{dataset.dataset_id} was not made by "
                    "nba-ml import: it is yours and nothing is written there. Name "
                    "another dataset in dbt_project.yml, or load the table yourself."
                )
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
            # pauses double from one second; together about the patience
            tries = int(self._retry.timeout).bit_length() - 1
            job = self.client.load_table_from_file(
                source, table, job_config=config, num_retries=tries
            )
            job.result(self._retry, timeout=self.profile[_TIMEOUT])

    @cached_property
    def _storage(self) -> Any:
        """The emulator's Storage API; BigQuery's own is found by the client."""
        if not (place := os.environ.get("NBA_ML_BIGQUERY_STORAGE_ENDPOINT")):
            return None
        import grpc
        from google.cloud.bigquery_storage_v1.services.big_query_read import transports

        channel = grpc.insecure_channel(place)
        return bigquery_storage.BigQueryReadClient(
            transport=transports.BigQueryReadGrpcTransport(channel=channel)
        )

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

    def _query(self, sql: str, parameters: Sequence[Any]) -> Any:
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._explained():
            patience = DEFAULT_JOB_RETRY.with_timeout(self._retry.timeout)
            ask = partial(self.client.query_and_wait, retry=self._retry)
            ask = partial(ask, sql, job_config=config, job_retry=patience)
            try:
                return ask()
            except exceptions.Conflict:
                # A repeated request met the job of the first, whose answer was
                # lost. What is asked here may be done twice.
                return ask()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Google's errors as sentences that say what to do."""
        try:
            yield
        except exceptions.GoogleAPICallError as error:
            reasons = {e.get("reason") for e in error.errors if isinstance(e, dict)}
            text = str(error.message).splitlines()[0]
            if isinstance(error, exceptions.NotFound):
                relation = re.search(r"Table [\w:-]+\.(\w+)", text)
                select = f" -s {relation[1]}" if relation else ""
                text = (
                    f"{relation[1]} is not built in {self.where}" if relation else text
                )
                raise UserError(f"{text}. Run: dbt build{select}") from error
            if error.code and error.code >= 500 or reasons & {*_LATER}:
                raise self._later(text) from error
            if isinstance(error, exceptions.Forbidden):
                text += ". The roles that are needed stand in docs/bigquery.md."
            if "bytesBilledLimitExceeded" in reasons:
                text += ". The limit is NBA_ML_BIGQUERY_MAX_BYTES."
            raise UserError(f"BigQuery, {self.where}: {text}") from error
        except (
            exceptions.RetryError,
            requests.RequestException,
            concurrent.futures.TimeoutError,
            TransportError,
        ) as error:
            raise self._later(str(error).splitlines()[0]) from error
        except GoogleAuthError as error:
            raise UserError(
                f"No credentials for BigQuery: {str(error).splitlines()[0]} "
                "Run: gcloud auth application-default login"
            ) from error

    def _later(self, text: str) -> WarehouseUnavailable:
        return WarehouseUnavailable(
            f"BigQuery, {self.where}, did not do it: {text}. "
            "Nothing was lost; run this again later."
        )


def _scalar(value: Any) -> bigquery.ScalarQueryParameter:
    return bigquery.ScalarQueryParameter(None, _TYPES[type(value)], value)


def _parameter(field: bigquery.SchemaField, row: Mapping[str, Any]) -> Any:
    value = row.get(field.name)
    if field.mode == "REPEATED":
        return bigquery.ArrayQueryParameter(field.name, field.field_type, value or [])
    return bigquery.ScalarQueryParameter(field.name, field.field_type, value)


def _pieces(batch: Mapping[str, Rows]) -> Iterator[dict[str, list[Mapping[str, Any]]]]:
    """The batch in parts that fit a request each; sent twice, they add nothing."""
    piece: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    size = 0
    for table, rows in batch.items():
        for row in rows:
            size += len(json.dumps(row, default=str))
            if size > REQUEST and piece:
                yield piece
                piece, size = defaultdict(list), 0
            piece[table].append(row)
    if piece:
        yield piece
