"""Write the limits of the seeds into docs/deployment-guide.md.

python python/deployment_checklist.py
"""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/deployment-guide.md"
COMMAND = "python python/deployment_checklist.py"


def table(seed: str, name: str) -> str:
    """The rows of a seed as a list of boxes to tick."""
    with (ROOT / "seeds" / f"{seed}.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = [f"| | {name} | Must hold | Because |", "|---|---|---|---|"]
    for row in rows:
        words = [row["metric"], row["comparison"], row["limit_value"]]
        must = " ".join(words).replace("_", " ")
        where = [
            row.get("population", "").replace("_", " "),
            row.get("feature_version"),
        ]
        where += [f"{row['min_rows']} rows or more" if row["min_rows"] != "0" else ""]
        told = ", ".join(one for one in where if one)
        must += f" ({told})" if told else ""
        key = row.get("gate") or row["check_name"]
        lines.append(f"| ☐ | `{key}` | {must} | {row['reason']} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """`text` with both lists as the seeds have them."""
    lists = {
        "gates": table("deployment_gates", "Gate"),
        "watch": table("watch_limits", "Check"),
    }
    for name, rows in lists.items():
        begin, end = f"<!-- {name}: {COMMAND} -->\n", "<!-- end -->"
        before, rest = text.split(begin)
        _, after = rest.split(end, 1)
        text = before + begin + rows + "\n" + end + after
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
