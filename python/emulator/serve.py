"""Start local-bigquery on loopback: `python serve.py --port N --grpc-port N --data-dir D`.

Runs in the emulator's own environment (Python 3.13, requirements.lock beside this
file), never in the project's.
"""

from __future__ import annotations

from typing import Any

from duckdb_extensions import import_extension
from local_bigquery import cli
from local_bigquery.jobs import query
from local_bigquery.models import TableReference

_execute = query.execute


def execute(*arguments: Any, **options: Any) -> Any:
    """As BigQuery does, report where a CREATE TABLE AS SELECT wrote.

    Without it dbt-bigquery fails: 'NoneType' object has no attribute 'path'.
    """
    statistics, children, result = _execute(*arguments, **options)
    target = statistics.ddlTargetTable
    if result is None and target is not None:
        if statistics.statementType == "CREATE_TABLE_AS_SELECT":
            result = TableReference.model_validate(target.model_dump())
    return statistics, children, result


if __name__ == "__main__":
    # The extensions come from PyPI; the emulator would download them otherwise.
    for extension in ("ducklake", "icu", "spatial"):
        import_extension(extension)
    query.execute = execute
    cli.main()
