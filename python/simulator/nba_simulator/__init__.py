"""A simulated league, to try things on: the command; league.py makes it."""

from __future__ import annotations

import click

from nba_ml import settings


@click.command()
@click.option("--seasons", default=3, show_default=True, type=click.IntRange(1, 20))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0))
@click.option("--scale", default=1, type=click.IntRange(1, 16), help="Leagues.  [1]")
@click.option("--force", is_flag=True, help="Replace files of your own, too.")
def simulate(seasons: int, seed: int, scale: int, force: bool) -> None:
    """Write the box scores of a simulated league to NBA_ML_HOME/raw.

    Example:

    \b
        nba-ml simulate --seasons 3 --seed 7
    """
    from rich.console import Console
    from rich.progress import Progress

    from nba_simulator import league

    raw = settings.home().raw
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Simulating seasons", total=seasons * scale)
        made = league.simulate(
            raw, seasons, seed, scale, force, lambda: progress.advance(task)
        )
    if made is None:
        click.echo(f"{raw} holds this league already; nothing to do.")
        return
    for name, rows in made.items():
        click.echo(f"{rows:>9,} rows  {name}")
    as_of = (raw / "as_of").read_text().strip()
    click.echo(f"The clock of these data is {as_of} (UTC).")
