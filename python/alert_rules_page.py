"""Write the rules of the seed alert_rules into docs/monitoring.md.

python python/alert_rules_page.py
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/monitoring.md"
COMMAND = "python python/alert_rules_page.py"
UNITS = {"game_day": "game day", "day": "day", "week": "week", "look": "look"}


def rules() -> dict[str, str]:
    """What each rule says, as a line of text."""
    with (ROOT / "seeds/alert_rules.csv").open() as file:
        return {row["rule"]: sentence(row) for row in csv.DictReader(file)}


def sentence(row: dict[str, str]) -> str:
    severity = row["severity"]
    if row["escalates_with"]:
        severity += f", critical beside {row['escalates_with']}"
    limit = row["limit_value"] or "its feature's limit in seeds/drift_limits.csv"
    unit, count = UNITS[row["every"]], int(row["checks_in_a_row"])
    often = f"on {count} {unit}s in a row" if count > 1 else f"on a {unit}"
    least = f", on {row['min_rows']} rows or more" if int(row["min_rows"]) > 1 else ""
    return (
        f"*{severity}* · {row['figure']} {row['comparison']} {limit} {often}{least}."
        "\n\n"
        f"**Why:** {row['reason']}."
    )


def page(text: str) -> str:
    """`text` with every rule as the seed has it."""

    def renewed(match: re.Match[str]) -> str:
        return f"### {match[1]}\n\n{found.pop(match[1])}\n\n**Example:**"

    found = rules()
    text = re.sub(r"### (\w+)\n.*?\*\*Example:\*\*", renewed, text, flags=re.DOTALL)
    if found:
        raise SystemExit(f"{PAGE.name} has no section {', '.join(found)}.")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
