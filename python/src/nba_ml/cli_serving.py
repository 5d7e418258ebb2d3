"""The commands that serve: deploy, rollback, serve."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nba_ml import settings
from nba_ml.console import as_json, in_home, print_json, say

if TYPE_CHECKING:
    from nba_ml.deployment import Deployed
    from nba_ml.settings import Home

worker = click.option(
    "--worker", metavar="URL", help="A running worker to look through.  [this process]"
)


@click.command()
@click.argument("version", default="latest")
@click.option(
    "--challenger", is_flag=True, help="Stop beside the production model, for a test."
)
@click.option(
    "--traffic-split",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of players that the challenger answers.  [none: shadow]",
)
@click.option("--load-strategy", type=click.Choice(["eager", "lazy"]), default="eager")
@click.option("--force", metavar="REASON", help="Pass over gates that do not hold.")
@click.option(
    "--watch",
    type=click.FloatRange(min=0),
    default=3600,
    show_default=True,
    help="Seconds to watch after the promotion.",
)
@worker
@in_home
@as_json
def deploy(
    home: Home,
    version: str,
    challenger: bool,
    traffic_split: float | None,
    worker: str | None,
    json_: bool,
    **options: Any,
) -> None:
    """Put a model into production, step by step; roll back when it degrades.

    VERSION is such as 1.1.0; without it the newest. Repeat it after a kill.

    Example:

    \b
        nba-ml deploy 1.1.0 --worker http://127.0.0.1:8000
    """
    from nba_ml import deployment, probe

    plan = deployment.Plan(
        role="challenger" if challenger else "production",
        mode="split" if traffic_split else "shadow",
        traffic_split=traffic_split or 0.0,
        **options,
    )
    through = probe.Worker(worker) if worker else None
    _print_deployed(deployment.deploy(home, version, plan, through, say), json_)


@click.command()
@click.argument("model_id", required=False)
@click.option("--reason", default="by hand", show_default=True, help="For the record.")
@worker
@in_home
@as_json
def rollback(
    home: Home, model_id: str | None, reason: str, worker: str | None, json_: bool
) -> None:
    """Put the production model before into production again, or the one named.

    Named, the model in production has its configuration and files set right, and a
    challenger is withdrawn.

    Example:

    \b
        nba-ml rollback --reason rookies
    """
    from nba_ml import deployment, probe

    through = probe.Worker(worker) if worker else None
    done = deployment.rollback(home, model_id, reason, through, say)
    _print_deployed(done, json_)


def _print_deployed(done: Deployed, json_: bool) -> None:
    if json_:
        return print_json(asdict(done))
    click.echo(
        f"{done.model_id}: {done.status}. Live: {done.live_model_id or 'no model'}, "
        f"generation {done.generation} of the configuration."
    )


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--poll",
    type=click.FloatRange(0.01),
    metavar="SECONDS",
    help="Between looks at what is published.  [1; in a bucket 10]",
)
def serve(host: str, port: int, poll: float | None) -> None:
    """Answer predictions over HTTP until it is stopped; log each before its answer.

    Others than this machine are served only when NBA_ML_TOKEN is set.

    Example:

    \b
        nba-ml serve --port 8000
    """
    from nba_ml import worker

    worker.serve(settings.home(), host, port, poll)
