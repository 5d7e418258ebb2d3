"""Where things are and what time it is: the environment, read in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import yaml
from jinja2 import Template

PROJECT = Path(__file__).resolve().parents[3]


class UserError(click.ClickException):
    """A mistake that its user can repair.

    The message names the thing, the value and the next step.
    """


@dataclass(frozen=True)
class Home:
    """The folder that holds all state (`NBA_ML_HOME`, default `data/`).

    `target` names the output of profiles.yml whose warehouse is meant; None is
    the DuckDB file in `root`. `model_store` is where new models go; None is
    `models/` in `root`.
    """

    root: Path
    target: str | None = None
    model_store: str | None = None

    @cached_property
    def profile(self) -> dict[str, Any]:
        """The settings of the target, as dbt reads them from profiles.yml."""
        return read_profile(self.target) if self.target else {"type": "duckdb"}

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


def home(target: str | None = None) -> Home:
    """The state folder, absolute; relative values count from the working folder.

    The target is `target`, else `NBA_ML_TARGET`, else DuckDB.
    """
    root = Path(os.environ.get("NBA_ML_HOME") or "data").resolve()
    target = target or os.environ.get("NBA_ML_TARGET")
    return Home(root, target, os.environ.get("NBA_ML_MODEL_STORE"))


def read_profile(target: str) -> dict[str, Any]:
    """One output of profiles.yml, its `env_var(...)` filled in as dbt does.

    Raises UserError for an unknown target or a variable that is not set.
    """
    folder = Path(os.environ.get("DBT_PROFILES_DIR") or PROJECT / "profiles")
    path = folder / "profiles.yml"
    found = yaml.safe_load(path.read_text()) if path.exists() else {}
    outputs = found.get("nba_ml", {}).get("outputs", {})
    if target not in outputs:
        known = ", ".join(outputs) or "none"
        raise UserError(f"{path} has no target {target!r}. It has: {known}.")

    def env_var(name: str, default: str | None = None) -> str:
        if (value := os.environ.get(name, default)) is None:
            raise UserError(f"Target {target} needs {name}. Set it: docs/bigquery.md")
        return value

    def filled(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = Template(value).render(env_var=env_var)
        return int(text) if value.endswith("| int }}") else text

    return {name: filled(value) for name, value in outputs[target].items()}


def token() -> str | None:
    """What a request to the worker must carry; None: nothing."""
    return os.environ.get("NBA_ML_TOKEN", "").strip() or None


def webhook() -> str | None:
    """Where messages are posted; who knows it can post there. None: nowhere."""
    return os.environ.get("NBA_ML_WEBHOOK", "").strip() or None


def journal() -> str:
    """Where the worker logs: `spool`, or `stdout` where no disk outlives it."""
    return os.environ.get("NBA_ML_JOURNAL") or "spool"


def present() -> datetime:
    """The present, whatever the clock says, as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def clock() -> datetime:
    """Now, or the frozen `NBA_ML_AS_OF` (ISO 8601, UTC), as naive UTC.

    Raises UserError when the variable is not a timestamp.
    """
    text = os.environ.get("NBA_ML_AS_OF", "").strip()
    if not text:
        return present()
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


def league_date(moment: datetime) -> date:
    """The league's date at `moment`, naive UTC, as the macro as_of_date has it."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo("America/New_York")).date()
