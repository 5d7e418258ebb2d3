"""Write target/feature-site.json: dbt's manifest for the catalogue site.

dbt-features names a table by its model, and of two versions of one model shows the
last. Here each version has the name of its own relation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(target: Path) -> None:
    manifest = json.loads((target / "manifest.json").read_text())
    for node in manifest["nodes"].values():
        if node.get("version"):
            node["name"] = node["alias"]
    (target / "feature-site.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
