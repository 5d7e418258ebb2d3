"""The command line: it parses, the modules work.

Results go to stdout, progress to stderr.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nba_ml import console, settings
from nba_ml.cli_monitoring import alerts, backtest, report, retrain, tuned
from nba_ml.cli_serving import deploy, predict, rollback, serve
from nba_simulator import simulate

if TYPE_CHECKING:
    from nba_ml.artefact import Manifest
    from nba_ml.settings import Home
    from nba_ml.sources import Inspection

minutes = click.option(
    "--minutes", type=click.Choice(["decimal", "mm:ss"]), default="decimal"
)
encoding = click.option(
    "--encoding", default="utf-8", show_default=True, help="Of CSV files."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nba-ml")
def cli() -> None:
    """NBA player points: feature store, training and predictions.

    Example:

    \b
        nba-ml status
    """


for command in (simulate, predict, deploy, rollback, serve):
    cli.add_command(command)
for command in (backtest, report, alerts, retrain):
    cli.add_command(command)


@cli.command()
@console.training_config
@click.option(
    "--bump",
    type=click.Choice(["patch", "minor", "major"]),
    help="Version step; not smaller than what changed.",
)
@click.option("--if-changed", is_flag=True, help="Do nothing when nothing changed.")
@click.option("--force", is_flag=True, help="Train although nothing changed.")
@click.option(
    "--tune",
    type=click.IntRange(1),
    metavar="N",
    help="First try N other sets of parameters, without the test rows.",
)
@console.in_home
@console.as_json
def train(
    home: Home,
    config_path: Path,
    bump: str | None,
    if_changed: bool,
    force: bool,
    tune: int | None,
    json_: bool,
) -> None:
    """Train one model, judge it beside the baselines, and register it.

    Example:

    \b
        nba-ml train --if-changed
    """
    from nba_ml import registry, training

    config = training.read_config(config_path)
    if tune:
        config = tuned(home, config, tune, json_)
    done = training.train(home, config, bump, if_changed, force)
    if json_:
        console.print_json(asdict(done))
    else:
        _print_evaluation(done.manifest)
        refit = done.manifest.refit
        where = "registered" if done.is_synced else "registered in the spool"
        if not done.is_new:
            where = "covers these rows, this configuration and these libraries"
        click.echo(
            f"{done.model_id} {where}: {done.path}\n"
            f"Refitted on all rows ({refit['trees']} trees); differs by "
            f"{refit['agreement_mae']:.2f} points on {refit['agreement_rows']}."
        )
    console.warn(done.notes + registry.suspicions(home, done.model_id))


def _print_evaluation(manifest: Manifest) -> None:
    from nba_ml.evaluation import PREDICTORS

    found = {
        (m["population"], m["predictor"], m["metric"]): m for m in manifest.metrics
    }
    rows = []
    for population in dict.fromkeys(m["population"] for m in manifest.metrics):
        model = found[population, "model", "mae"]
        maes = [found[population, name, "mae"]["value"] for name in PREDICTORS]
        bias = found[population, "model", "bias"]["value"]
        coverage = found[population, "model", "interval_coverage"]["value"]
        rows.append(
            [
                population,
                f"{model['n']:,}",
                f"{maes[0]:.3f}",
                f"{model['low']:.3f}..{model['high']:.3f}",
                *(f"{mae:.3f}" for mae in maes[1:]),
                f"{bias:+.2f}",
                f"{coverage:.0%}",
            ]
        )
    test = manifest.evaluation["split"]["test"]
    dropped = manifest.evaluation["dropped_test_rows"]
    click.echo(
        f"{manifest.model_id}: mean absolute error in points on the test rows, "
        f"{test['first_date']} to {test['last_date']}; "
        f"{dropped} rows without a baseline left out"
    )
    baselines = [name.replace("_", "-") for name in PREDICTORS[1:]]
    header = ["population", "N", "model", "95 %", *baselines, "bias", "in 80 %"]
    console.print_table(header, rows)


@cli.command()
@console.in_home
@console.as_json
def sync(home: Home, json_: bool) -> None:
    """Load spooled events into the warehouse, and write missing model cards.

    It is safe to repeat.

    Example:

    \b
        nba-ml sync
    """
    from nba_ml import model_card, spool

    done = spool.sync(home)
    cards, failed = model_card.write_missing(home)
    done.problems.extend(failed)
    if json_:
        console.print_json(asdict(done) | {"cards": cards})
    else:
        new = ", ".join(
            f"{count} {table}" for table, count in done.rows.items() if count
        )
        click.echo(f"{done.files} files loaded; new rows: {new or 'none'}.")
        for card in cards:
            click.echo(f"Model card: {card}")
    if done.problems:
        raise settings.UserError("\n".join(done.problems))


@cli.command()
@click.option("--compare", nargs=2, metavar="A B", help="Two models on identical rows.")
@console.in_home
@console.as_json
def status(home: Home, compare: tuple[str, str] | None, json_: bool) -> None:
    """Show the models, how good the leading one is, the data and the backlog.

    Example:

    \b
        nba-ml status --compare xgboost_v1.1.0 xgboost_v1.0.0
    """
    from nba_ml import artefact, deployment, registry
    from nba_ml.store import resolve

    if compare:
        pairs = registry.compare(home, *compare)
        if json_:
            return console.print_json(pairs)
        shown = ["population", "n", "mae", "other_mae", "mae_difference"]
        header = ["population", "N", *compare, "difference"]
        return console.print_records(pairs, shown, header)
    facts = registry.status(home) | {"out_of_step": deployment.differences(home)}
    if json_:
        return console.print_json(facts)
    shown = ["model_id", "status", "trained_at", "test_mae", "baseline_mae", "skill"]
    console.print_records(facts["models"], shown)
    if facts["models"]:
        store, name = resolve(home, registry.choose(home, None)["gcs_path"])
        try:
            _print_evaluation(artefact.read_manifest(store, name))
        except settings.UserError as error:
            click.secho(error.message, fg="red")
    data, backlog = facts["data"] or {}, facts["spool"]["files"]
    live = facts["live_model_id"] or "no model, none was deployed"
    lines = {
        "Live": live,
        "Data": ", ".join(f"{k} {console.text(v)}" for k, v in data.items()),
        "Spool": f"{backlog} files wait" + (", run nba-ml sync" if backlog else ""),
        "Warehouse": facts["warehouse"],
        "Models": home.model_store or home.models,
    }
    pages = {"Docs": "docs", "Catalogue": "docs/features", "Report": "report"}
    for name, folder in pages.items():
        if (page := home.root / folder / "index.html").exists():
            lines[name] = page
    for name, value in lines.items():
        click.echo(f"{name + ':':<11}{value}")
    for title, found in (("Orphan", "orphans"), ("Out of step", "out_of_step")):
        for sentence in facts[found]:
            click.secho(f"{title}: {sentence}", fg="yellow")


@cli.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--table", help="The table that the files hold, if not in their names.")
@minutes
@encoding
@click.option("--frozen-clock", is_flag=True, help="Now is noon of their last date.")
@console.in_home
def import_(home: Home, paths: tuple[Path, ...], **options: Any) -> None:
    """Check Parquet or CSV files and publish them in NBA_ML_HOME/raw.

    With --target bigquery they become the source tables, if there are none yet.

    A path is a file or a folder; a file belongs to the table that its name begins
    with. Nothing is published unless everything keeps the contract; each table is
    replaced whole.

    Example:

    \b
        nba-ml import exports/ --frozen-clock
    """
    from rich.console import Console

    from nba_ml import sources, warehouse

    engine = warehouse.connect(home)
    if not isinstance(engine, warehouse.DuckDB):
        options["warehouse"] = engine
    with Console(stderr=True).status("Checking the files"):
        done = sources.import_files(home.raw, paths, **options)
    if done is None:
        click.echo(f"{home.raw}: unchanged, these files are imported already.")
        return
    imported, ignored = done
    for one in imported:
        click.echo(f"{one.rows:>9,} rows  {one.table}  from {', '.join(one.files)}")
        if one.extra:
            click.echo(f"{'':>16}  not in the contract: {', '.join(one.extra)}")
    _print_ignored(ignored)


@cli.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@minutes
@encoding
@console.in_home
@console.as_json
def check(
    home: Home, path: Path | None, minutes: str, encoding: str, json_: bool
) -> None:
    """Look at source files without changing anything; 1 if they break the contract.

    With --target bigquery and no path: at the source tables.

    Example:

    \b
        nba-ml check exports/
    """
    from nba_ml import sources, warehouse

    engine, ignored = warehouse.connect(home), []
    if path or isinstance(engine, warehouse.DuckDB):
        seen, ignored = sources.inspect(path or home.raw, encoding, minutes)
    else:
        seen = sources.inspect_tables(engine, minutes)
        size = f"{sum(one.bytes for one in seen):,} bytes"
        console.say(f"Read once: {size}; a whole build: make bigquery-cost")
    if json_:
        found = [asdict(one) | {"ok": one.ok} for one in seen]
        console.print_json({"tables": found, "ignored": ignored})
    else:
        _print_seen(seen, ignored)
    if not all(one.ok for one in seen):
        raise SystemExit(1)


def _print_seen(seen: list[Inspection], ignored: list[Path]) -> None:
    header = ["table", "rows", "bytes", "dates", "columns", "duplicates", "broken"]
    rows = [
        [
            one.table + (" (required)" if one.required else ""),
            f"{one.rows:,}" if one.files else "not found",
            f"{one.bytes:,}",
            f"{console.text(one.first_date)}..{console.text(one.last_date)}",
            f"{len(one.found)} of {len(one.found) + len(one.missing)}",
            f"{one.duplicate_keys:,}",
            f"{len(one.violations)} rules",
        ]
        for one in seen
    ]
    console.print_table(header, rows)
    for one in seen:
        for what in ("missing_required", "missing", "extra"):
            if names := getattr(one, what):
                click.echo(f"{one.table}, {what.replace('_', ' ')}: {', '.join(names)}")
        for title, shares in (
            ("NULL on played rows", one.null_rates),
            ("constant in season", one.constants),
        ):
            seasons: dict[str, list[str]] = {}
            for column, season, value in (share.values() for share in shares):
                shown = f"{100 * value:.3g}%" if isinstance(value, float) else value
                seasons.setdefault(column, []).append(
                    f"{console.text(season)}: {shown}"
                )
            if seasons:
                lines = [[column, ", ".join(some)] for column, some in seasons.items()]
                console.print_table([one.table, title], lines)
        for violation in one.violations:
            click.secho(str(violation), fg="red")
    _print_ignored(ignored)


def _print_ignored(files: list[Path]) -> None:
    if files:
        click.echo(f"ignored: {', '.join(file.name for file in files)}")
