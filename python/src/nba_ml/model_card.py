"""The model card: what to know before a model is used, from the tables alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt

from nba_ml import registry, settings
from nba_ml.evaluation import BASELINES, INTERVAL
from nba_ml.settings import Home, UserError
from nba_ml.store import overwrite, resolve
from nba_ml.warehouse import connect

MARKDOWN, PAGE = ".card.md", ".card.html"
FOLDER = Path(__file__).parent
TABLES = {
    "trained": "model_events where event_type = 'trained' and model_id = ?",
    "metrics": "model_metrics where split = 'test' and model_id = ?",
    "features": "importance_comparison where model_id = ? order by"
    " group_gain_share desc, feature_group, importance_rank, parent_importance_rank",
    "calibration": "model_calibration where model_id = ? order by confidence",
    "gates": "model_gates where model_id = ? order by gate, population",
}


def render(home: Home, model_id: str) -> str:
    """The card of a model that the warehouse has, as Markdown. Raises UserError."""
    registry.choose(home, model_id)
    rows: dict[str, Any] = {}
    for name, table in TABLES.items():
        found = connect(home).read(f"select * from {table}", [model_id]).astype(object)
        rows[name] = found.where(found.notna(), None).to_dict("records")
    [facts] = rows.pop("trained")
    keys = ("population", "predictor", "metric")
    rows["metrics"] = {tuple(row[k] for k in keys): row for row in rows["metrics"]}
    facts |= {name: json.loads(facts[name]) for name in ("config", "details")}
    constants = {"baselines": BASELINES, "interval": INTERVAL}
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    card = templates.get_template("model_card.md.j2")
    return card.render(facts | rows | constants, written_at=settings.clock())


def _plain(value: Any) -> str:
    """What a table holds, as text that Markdown takes for text."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", " ".join(str(value).split()))


def page(card: str) -> str:
    """The card as one HTML page that fetches nothing."""
    body = MarkdownIt("js-default").render(card)  # which lets no HTML through
    frame = Template((FOLDER / "model_card.html").read_text())
    return frame.substitute(title=card.split("\n")[0].lstrip("# "), body=body)


def write(home: Home, model_id: str) -> str:
    """Write card and page beside the model's file; the address of the page."""
    card = render(home, model_id)
    store, name = resolve(home, registry.choose(home, model_id)["gcs_path"])
    for ending, text in ((MARKDOWN, card), (PAGE, page(card))):
        written = name.replace(".json", ending)
        overwrite(store, written, text.encode())
    return store.uri(written)


def write_missing(home: Home) -> tuple[list[str], list[str]]:
    """Write the cards that models lack: addresses of the pages, and what failed."""
    written: list[str] = []
    try:
        models = connect(home).read(
            "select model_id, gcs_path from model_registry order by trained_at desc"
        )
        for model_id, location in models.itertuples(index=False):
            store, name = resolve(home, location)
            if {name} == {name, name.replace(".json", PAGE)} & set(store.names()):
                written.append(write(home, model_id))
    except UserError as error:
        return written, [f"No model card yet: {error.message} Then: nba-ml sync"]
    return written, []
