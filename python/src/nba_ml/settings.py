"""Where things are and what time it is: the environment, read in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

PROJECT = Path(__file__).resolve().parents[3]


class UserError(click.ClickException):
    """A mistake that its user can repair.

    The message names the thing, the value and the next step.
    """


@dataclass(frozen=True)
class Home:
    """The folder that holds all state (`NBA_ML_HOME`, default `data/`)."""

    root: Path

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def serving(self) -> Path:
        return self.root / "serving"


def home() -> Home:
    """The state folder, absolute; relative values count from the working folder."""
    return Home(Path(os.environ.get("NBA_ML_HOME") or "data").resolve())


def clock() -> datetime:
    """Now, or the frozen `NBA_ML_AS_OF` (ISO 8601, UTC), as naive UTC.

    Raises UserError when the variable is not a timestamp.
    """
    text = os.environ.get("NBA_ML_AS_OF", "").strip()
    if not text:
        return datetime.now(UTC).replace(tzinfo=None)
    try:
        # a date alone is its noon: its games are still to come
        moment = datetime.fromisoformat(f"{text}T12:00" if len(text) == 10 else text)
    except ValueError:
        raise UserError(
            f"NBA_ML_AS_OF is {text!r}, which is no timestamp. "
            "Write it like 2024-04-14T12:00:00, or unset it to use the present."
        ) from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment
