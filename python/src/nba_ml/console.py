"""What the commands share: options, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
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
day_option = partial(
    click.option,
    type=click.DateTime(["%Y-%m-%d"]),
    callback=lambda _context, _parameter, moment: moment and moment.date(),
)


def say(line: str) -> None:
    """Progress."""
    click.echo(line, err=True)


def warn(notes: Iterable[str]) -> None:
    for note in notes:
        click.secho(note, fg="yellow", err=True)


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


def print_records(
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    header: Sequence[str] = (),
) -> None:
    rows = [[text(record[name]) for name in columns] for record in records]
    print_table(header or [name.replace("_", " ") for name in columns], rows)


def text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value).removesuffix("T00:00:00.000")
