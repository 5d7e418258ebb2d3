"""The commands that serve: predict, deploy, rollback, serve."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from nba_ml import console, settings

if TYPE_CHECKING:
    from nba_ml.deployment import Deployed
    from nba_ml.settings import Home

worker = click.option(
    "--worker", metavar="URL", help="A running worker to look through.  [this process]"
)


@click.command()
@console.day_option("--date", "day", help="[next slate]")
@click.option("--model-id", help="[the production model, else the newest]")
@click.option(
    "--mode",
    type=click.Choice(["live", "replay", "backfill"]),
    help="[live when the tables are less than 24 hours old, else replay]",
)
@console.day_option("--since", help="Replay the past game days from this one on.")
@console.day_option("--until", help="[the last played]")
@click.option("--why", metavar="PLAYER", help="What made the points of one player.")
@console.in_home
@console.as_json
def predict(
    home: Home,
    day: date | None,
    model_id: str | None,
    mode: str | None,
    since: date | None,
    until: date | None,
    why: str | None,
    json_: bool,
) -> None:
    """Predict the points of every expected player of one date.

    With --since: of everybody who played on many past dates, as if each were today and
    who plays had been reported.

    Example:

    \b
        nba-ml predict --date 2024-04-14 --why nikolajokic
    """
    from nba_ml import prediction

    if until and not since:
        raise click.UsageError("--until ends a replay, which begins at --since.")
    if since:
        if day or why or mode not in (None, "replay"):
            raise click.UsageError("--since takes only --until and --model-id.")
        done = prediction.replay(home, since, until, model_id)
        if json_:
            return console.print_json(asdict(done))
        click.echo(
            f"{done.predictions:,} predictions for {done.game_days} game days, "
            f"{done.first_date} to {done.last_date}, by {done.model_id} (replay)."
        )
        return console.warn(done.notes)
    slate = prediction.predict(home, day, model_id, mode, why)
    if json_:
        facts = {"model_id": slate.model_id, "game_date": slate.game_date}
        facts |= {"mode": slate.mode, "skipped": slate.skipped, "why": slate.why}
        console.print_json(facts | {"predictions": slate.rows.to_dict("records")})
    else:
        columns = ["player_lookup", "game_id", "predicted_points"]
        columns += ["predicted_low", "predicted_high", "confidence"]
        top = slate.rows[columns].head(10).itertuples(index=False)
        console.print_table(
            ["player", "game", "points", "80 % interval", "within 5"],
            [
                [player, game, f"{points:.1f}", f"{low:.1f}..{high:.1f}", f"{sure:.0%}"]
                for player, game, points, low, high, sure in top
            ],
        )
        logged = "logged" if slate.is_synced else "logged in the spool"
        click.echo(
            f"{len(slate.rows)} predictions for {slate.game_date} by {slate.model_id} "
            f"({slate.mode}) {logged}; {slate.skipped} players with too few games."
        )
        for row in slate.why:
            _print_why(row)
    console.warn(slate.notes)


def _print_why(row: dict[str, Any]) -> None:
    values, parts = json.loads(row["features"]), row["contributions"]
    largest = sorted(parts, key=lambda name: -abs(parts[name]))[:10]
    lines = [[n, console.text(values[n]), f"{parts[n]:+.2f}"] for n in largest]
    rest = sum(points for name, points in parts.items() if name not in largest)
    lines += [["all others", "", f"{rest:+.2f}"]]
    lines += [["expected of anybody", "", f"{row['expected_points']:+.2f}"]]
    header = [f"why {row['player_lookup']}", "value", f"{row['predicted_points']:.2f}"]
    console.print_table(header, lines)


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
@console.in_home
@console.as_json
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
    _print_deployed(deployment.deploy(home, version, plan, through, console.say), json_)


@click.command()
@click.argument("model_id", required=False)
@click.option("--reason", default="by hand", show_default=True, help="For the record.")
@worker
@console.in_home
@console.as_json
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
    done = deployment.rollback(home, model_id, reason, through, console.say)
    _print_deployed(done, json_)


def _print_deployed(done: Deployed, json_: bool) -> None:
    if json_:
        return console.print_json(asdict(done))
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
