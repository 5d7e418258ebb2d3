"""Bytes that a dbt build scans on BigQuery, query by query, by dry runs: they are free.

    make bigquery-cost

Compiles the project first, then calls this with target/manifest.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
from google.api_core.exceptions import NotFound
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nba_ml import settings, warehouse
from nba_ml.settings import UserError

TIB = 2**40
LEAST = 10 * 2**20  # what BigQuery bills for any query that reads a table
COMPILE = "Run: make bigquery-cost"


class DryRuns(Protocol):
    """What is asked of BigQuery."""

    def bytes_of(self, sql: str) -> int: ...


@dataclass(frozen=True)
class Scan:
    """One query of a build: `bytes` it scans, or why that is not known.

    A view scans nothing when it is made; whoever reads it has its bytes.
    """

    name: str
    kind: str
    bytes: int | None = None
    unknown: str = ""

    @property
    def billed(self) -> int:
        return max(self.bytes, LEAST) if self.bytes else 0


def read_nodes(path: Path) -> list[dict[str, Any]]:
    """Models and data tests of a manifest that was compiled for BigQuery.

    Raises UserError for a manifest that is missing or of another engine.
    """
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"There is no manifest at {path}. {COMPILE}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is no manifest: {error}. {COMPILE}") from None
    engine = manifest["metadata"]["adapter_type"]
    if engine != "bigquery":
        raise UserError(f"{path} was compiled for {engine}, not BigQuery. {COMPILE}")
    nodes = manifest["nodes"].values()
    return [node for node in nodes if node["resource_type"] in ("model", "test")]


def scans(bigquery: DryRuns, nodes: Iterable[dict[str, Any]]) -> Iterator[Scan]:
    """What each node scans in one build."""
    for node in nodes:
        is_test = node["resource_type"] == "test"
        kind = "test" if is_test else node["config"]["materialized"]
        name = node.get("alias") or node["name"]
        if kind == "view":
            yield Scan(name, kind, 0)
        elif not node.get("compiled_code"):
            yield Scan(name, kind, unknown="not compiled")
        else:
            try:
                yield Scan(name, kind, bigquery.bytes_of(node["compiled_code"]))
            except UserError as error:
                # what it reads is not built yet; anything else concerns all nodes
                if not isinstance(error.__cause__, NotFound):
                    raise
                yield Scan(name, kind, unknown="reads what is not built yet")


def lines(found: Iterable[Scan]) -> list[Scan]:
    """Models, most bytes first, and all tests as one."""
    found = list(found)
    models = [scan for scan in found if scan.kind != "test"]
    models.sort(key=lambda scan: (-(scan.bytes or 0), scan.name))
    tests = [scan for scan in found if scan.kind == "test"]
    unknown = sum(scan.bytes is None for scan in tests)
    note = f"{unknown} of them not known" if unknown else ""
    total = sum(scan.bytes or 0 for scan in tests)
    together = Scan(f"{len(tests)} data tests", "test", total, note)
    return [*models, together]


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--price",
    default=6.25,
    show_default=True,
    type=click.FloatRange(0),
    help="USD per TiB; the list price of your region may be another.",
)
def main(manifest: Path, price: float) -> None:
    """Print the bytes that one dbt build scans, and about what it costs.

    Example:

    \b
        python python/bigquery_cost.py target/manifest.json --price 6.25
    """
    nodes = read_nodes(manifest)
    engine = warehouse.connect(settings.home())
    if isinstance(engine, warehouse.DuckDB):
        raise UserError(f"The target is DuckDB, which bills nothing. {COMPILE}")
    asked = track(nodes, "Dry runs", console=Console(stderr=True), transient=True)
    found = list(scans(engine, asked))
    click.echo(f"One dbt build in {engine.where}, by dry runs:")
    click.echo(report(found, price))


def report(found: list[Scan], price: float) -> str:
    """The table, the total, and what the price rests on."""
    table = Table("query", "kind", box=SIMPLE)
    table.add_column("bytes", justify="right")
    table.add_column("")
    for scan in lines(found):
        shown = "-" if scan.bytes is None else f"{scan.bytes:,}"
        note = scan.unknown
        if scan.kind == "view":
            shown, note = "-", "in the bytes of what reads it"
        table.add_row(scan.name, scan.kind, shown, note)
    total = sum(scan.bytes or 0 for scan in found)
    table.add_row("total", "", f"{total:,}", "")
    console = Console(width=100, markup=False)
    with console.capture() as captured:
        console.print(table)
    dollars = sum(scan.billed for scan in found) / TIB * price
    text = captured.get() + (
        f"At least {dollars:.4f} USD at {price:g} USD per TiB, each query as 10 MiB or"
        " more\n(BigQuery: each table that it reads). Prices change, and by region:"
        "\ncloud.google.com/bigquery/pricing. Storage, training, nba-ml check"
        " and whatever\nelse reads come on top."
    )
    if unknown := sum(scan.bytes is None for scan in found):
        text += (
            f"\nToo low: {unknown} queries are not known."
            " After a dbt build, run this again."
        )
    return text


if __name__ == "__main__":
    main()
