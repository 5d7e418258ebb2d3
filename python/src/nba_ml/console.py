"""What the commands share: options, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nba_ml import settings

in_home = click.option(
    "--target",
    "home",
    metavar="NAME",
    callback=lambda _context, _parameter, name: settings.home(name),
    help="Output of profiles.yml, such as bigquery.  [NBA_ML_TARGET, else duckdb]",
)
as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")

training_config = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=settings.PROJECT / "python/config/training.yml",
    show_default="python/config/training.yml",
    help="What to train.",
)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=SIMPLE)
    for row in rows:
        table.add_row(*row)
    console = Console()
    width = console.width if console.is_terminal else 160
    Console(width=width, markup=False).print(table)


def text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value).removesuffix("T00:00:00.000")
