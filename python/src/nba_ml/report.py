"""The report: one page of what the tables say, which fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import vl_convert
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from nba_ml.evaluation import INTERVAL
from nba_ml.files import write_atomically
from nba_ml.settings import Home
from nba_ml.warehouse import connect

FOLDER = Path(__file__).parent
Rows = list[dict[str, Any]]
TABLES = yaml.safe_load((FOLDER / "tables.yml").read_text())


def write(home: Home, facts: dict[str, Rows]) -> Path:
    """Write the page of what `read` found; readers see the old one or the new one."""
    return write_atomically(home.root / "report/index.html", render(facts).encode())


def read(
    home: Home, page: str = "report", parameters: Sequence[Any] = ()
) -> dict[str, Rows]:
    """Rows of each table of a page, by its name in tables.yml; None for NULL.

    Raises UserError, which names what is not built.
    """
    warehouse, found = connect(home), {}
    for name, table in TABLES[page].items():
        rows = warehouse.read(f"select * from {table}", parameters).astype(object)
        found[name] = rows.where(rows.notna(), None).to_dict("records")
    return found


def render(facts: dict[str, Rows]) -> str:
    """The page; all that comes from the tables is text."""
    page = template("report.html.j2", autoescape=True)
    return page.render(facts, chart=_charts(), interval=INTERVAL)


def template(name: str, **options: Any) -> Template:
    """A template of this folder; what it asks for and is not there is an error."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        **options,
    )
    return templates.get_template(name)


def _charts() -> Callable[..., Markup]:
    """A function for the template: one of report_charts.yml, drawn as inline SVG."""
    specs = yaml.safe_load((FOLDER / "report_charts.yml").read_text())

    def chart(name: str, label: str, rows: Rows, **values: Any) -> Markup:
        spec = specs["every_chart"] | specs[name]
        spec["data"] = {"values": rows}
        spec["params"] = [{"name": key, "value": values[key]} for key in values]
        # a moment is a day here, which Vega takes for one of UTC
        text = json.dumps(spec, default=lambda moment: str(moment)[:10])
        svg = vl_convert.vegalite_to_svg(text, allowed_base_urls=[])
        # a reader of the page aloud hears the label, not each mark
        named = Markup('<svg role="img" aria-label="{}"').format(label)
        return Markup(svg.replace("<svg", named, 1))

    return chart
