"""The commands that look back and watch: backtest, report, alerts, retrain."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nba_ml import console, settings
from nba_ml.cli_serving import worker

if TYPE_CHECKING:
    from nba_ml.settings import Home
    from nba_ml.training import Config

webhook = click.option(
    "--webhook",
    metavar="URL",
    default=settings.webhook,
    help="Where messages are posted, as Slack reads them.  [NBA_ML_WEBHOOK]",
)


@click.command()
@click.option(
    "--config",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    default=[settings.PROJECT / "python/config/training.yml"],
    show_default="python/config/training.yml",
    help="The champion; given again, challengers on identical rows.",
)
@click.option("--by", type=click.Choice(["season", "month"]), default="season")
@console.day_option("--since", help="Only folds that begin then or later.")
@console.day_option("--until", help="Only folds that end then or earlier.")
@click.option(
    "--folds",
    "count",
    type=click.IntRange(1),
    help="The last N.  [with --since all, else 3]",
)
@console.in_home
@console.as_json
def backtest(home: Home, paths: tuple[Path, ...], json_: bool, **options: Any) -> None:
    """Train anew before each past season or month, predict it, and say how it went.

    Example:

    \b
        nba-ml backtest --by month --folds 6
    """
    from nba_ml import backtest
    from nba_ml.evaluation import BASELINES

    configs = dict(backtest.configuration(path) for path in paths)
    if len(configs) < len(paths):
        raise settings.UserError("A configuration is given twice: see --config.")
    done = backtest.run(home, configs, backtest.Plan(**options), console.say)
    console.warn(done.notes)
    performance = _rows(home, done.backtest_id, "performance", "population")
    comparison = _rows(home, done.backtest_id, "comparison", "other_configuration")
    if json_:
        facts = {"performance": performance, "comparison": comparison}
        return console.print_json(asdict(done) | facts)
    columns = ["fold", "population", "n", "first_date", "last_date", "mae"]
    columns += [*(f"{name}_mae" for name in BASELINES), "bias", "interval_coverage"]
    header = [name.removesuffix("_mae").replace("_", " ") for name in columns]
    for name in done.configurations:
        click.echo(f"{name}, mean absolute error in points ({done.backtest_id}):")
        rows = [row for row in performance if row["configuration"] == name]
        console.print_records(rows, columns, header)
    champion = done.configurations[0]
    if pairs := [one for one in comparison if one["other_configuration"] == champion]:
        click.echo(f"Challengers beside {champion}: below 0 they are better.")
        columns = ["configuration", "fold", "n", "mae_difference", "low", "high"]
        console.print_records(pairs, columns)


def tuned(home: Home, config: Config, trials: int, is_quiet: bool) -> Config:
    """The configuration with better parameters, if a study finds any; prints it."""
    from nba_ml import tuning

    study = tuning.tune(home, config, trials)
    click.echo(str(study), err=is_quiet)
    return study.config


@click.command()
@console.in_home
@console.as_json
def report(home: Home, json_: bool) -> None:
    """Write one page with what the tables say: accuracy, drift, alerts, next slate.

    It is NBA_ML_HOME/report/index.html, which opens without a server or a network.

    Example:

    \b
        nba-ml report
    """
    from nba_ml import report

    facts = report.read(home)
    path = report.write(home, facts)
    if json_:
        rows = {name: len(found) for name, found in facts.items()}
        console.print_json({"path": path, "rows": rows})
    else:
        click.echo(f"Report: {path}")


@click.command()
@click.option("--all", "closed", is_flag=True, help="Closed ones, too.")
@webhook
@console.in_home
@console.as_json
def alerts(home: Home, closed: bool, webhook: str | None, json_: bool) -> None:
    """Show open alerts, and post each that opened or closed, once.

    It ends with 1 when a critical one is open, and with 3 when the webhook did not take
    a message, which is then posted the next time.

    Example:

    \b
        nba-ml alerts --all
    """
    from nba_ml import alerting

    console.warn(alerting.look(home))
    found = alerting.read(home, closed)
    is_open = [alert["severity"] for alert in found if alert["is_open"]]
    critical = is_open.count("critical")
    if json_:
        console.print_json(found)
    else:
        if found:
            columns = ["severity", "opened_on", "closed_on", "explanation", "remedy"]
            header = ["severity", "opened", "closed", "alert", "what to do"]
            console.print_records(found, columns, header)
        click.echo(f"{len(is_open)} alerts are open, {critical} of them critical.")
    if webhook:
        console.say(f"{alerting.tell(home, webhook)} messages posted.")
    if critical:
        raise SystemExit(1)


@click.command()
@click.option(
    "--if-due", is_flag=True, help="Only when retraining_triggers asks for it."
)
@console.training_config
@webhook
@worker
@console.in_home
@console.as_json
def retrain(
    home: Home,
    if_due: bool,
    config_path: Path,
    webhook: str | None,
    worker: str | None,
    json_: bool,
) -> None:
    """Train a model on fresh data and put it into the shadow; it is never promoted.

    It ends with 1 unless a model was registered or nothing was to be done. Repeat it
    after a kill.

    Example:

    \b
        nba-ml retrain --if-due
    """
    from nba_ml import alerting, probe, retraining, training

    run = retraining.retrain(
        home,
        training.read_config(config_path),
        if_due,
        partial(alerting.post, webhook) if webhook else None,
        probe.Worker(worker) if worker else None,
        console.say,
    )
    if json_:
        console.print_json(asdict(run))
    else:
        click.echo(f"{run.outcome} ({run.trigger}): {run.explanation}")
    console.warn([run.untold] if run.untold else [])
    if not run.is_good:
        raise SystemExit(1)


def _rows(home: Home, backtest_id: str, view: str, key: str) -> list[dict[str, Any]]:
    from nba_ml.warehouse import connect, records

    frame = connect(home).read(
        f"select * from backtest_{view} where backtest_id = ?"
        f" order by configuration, fold = 'all', fold, {key}",
        [backtest_id],
    )
    return records(frame)
