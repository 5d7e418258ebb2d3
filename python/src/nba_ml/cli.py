"""The command line: it parses, the modules work. Results on stdout, progress on stderr."""

from __future__ import annotations

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nba-ml")
def cli() -> None:
    """NBA player points: feature store, training and predictions.

    Example:

    \b
        nba-ml status
    """
