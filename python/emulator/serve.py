"""Start local-bigquery: `serve.py --host H --port N --grpc-port N --data-dir D`.

Runs in the emulator's own environment (Python 3.13, requirements.lock beside this
file), never in the project's. Ends when its standard input does, so that it never
outlives the tests that started it.
"""

from __future__ import annotations

import os
import sys
import threading
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
    if result is None and statistics.statementType == "CREATE_TABLE_AS_SELECT":
        result = TableReference.model_validate(target.model_dump())
    return statistics, children, result


def end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    # The extensions come from PyPI; the emulator would download them otherwise.
    for extension in ("ducklake", "icu", "spatial"):
        import_extension(extension)
    query.execute = execute
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    cli.main()
