"""The model card: what to know before a model is used, from the tables alone."""

from __future__ import annotations

import json
import re
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from nba_ml import registry, report, serving, settings
from nba_ml.evaluation import BASELINES, INTERVAL
from nba_ml.settings import Home, UserError
from nba_ml.store import resolve

MARKDOWN, PAGE = ".card.md", ".card.html"


def render(home: Home, model_id: str) -> str:
    """The card of a model that the warehouse has, as Markdown. Raises UserError."""
    registry.choose(home, model_id)
    rows: dict[str, Any] = report.read(home, "model_card", [model_id])
    [facts] = rows.pop("trained")
    keys = ("population", "predictor", "metric")
    rows["metrics"] = {tuple(row[k] for k in keys): row for row in rows["metrics"]}
    facts |= {name: json.loads(facts[name]) for name in ("config", "details")}
    constants = {"baselines": BASELINES, "interval": INTERVAL}
    card = report.template("model_card.md.j2", finalize=_plain)
    return card.render(facts | rows | constants, written_at=settings.clock())


def _plain(value: Any) -> str:
    """What a table holds, as text that Markdown takes for text."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", " ".join(str(value).split()))


def page(card: str) -> str:
    """The card as one HTML page that fetches nothing."""
    body = Markup(MarkdownIt("js-default").render(card))  # which lets no HTML through
    frame = report.template("model_card.html", autoescape=True)
    return frame.render(title=card.split("\n")[0].lstrip("# "), body=body)


def write(home: Home, model_id: str) -> str:
    """Write card and page beside the model's file; the address of the page."""
    card = render(home, model_id)
    store, name = resolve(home, registry.choose(home, model_id)["gcs_path"])
    for ending, text in ((MARKDOWN, card), (PAGE, page(card))):
        written = name.replace(".json", ending)
        serving.overwrite(store, written, text.encode())
    return store.uri(written)


def write_missing(home: Home) -> tuple[list[str], list[str]]:
    """Write the cards that models lack: addresses of the pages, and what failed."""
    written: list[str] = []
    try:
        for model in reversed(registry.read_models(home)):
            store, name = resolve(home, model["gcs_path"])
            if {name} == {name, name.replace(".json", PAGE)} & set(store.names()):
                written.append(write(home, model["model_id"]))
    except UserError as error:
        return written, [f"No model card yet: {error.message} Then: nba-ml sync"]
    return written, []
