"""`mien models`: what ships with the program."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mien.cli.flags import ScreenFlags
from mien.cli.report import Report, table

EXAMPLES = ("mien models", "mien models --json")
NEEDS_ARGUMENTS = False


def run(screen: ScreenFlags) -> Report:
    """List the embedded face model and the ready styles, with size, licence and hash."""
    from mien.stylizer import EMBEDDED_MODEL, ready_styles

    model = _model(EMBEDDED_MODEL)
    styles = [_style(path, model) for path in ready_styles().values()]
    rows = [
        (kind, entry["name"], f"{entry['resolution']} px", f"{entry['bytes'] / 1e6:.1f} MB", entry["hash"], entry["licence"])
        for kind, entry in [("model", model), *(("style", style) for style in styles)]
    ]
    lines = table(("kind", "name", "pictures", "file", "hash", "licence"), rows)
    return Report(lines=lines, document={"models": [model], "styles": styles})


def _model(path: Path) -> dict[str, Any]:
    from mien.checkpoint.format import read_document

    document = read_document(path)
    provenance = document["provenance"]
    return {
        "name": provenance["name"],
        "path": str(path),
        "bytes": path.stat().st_size,
        "resolution": document["configs"]["generator"]["resolution"],
        "hash": provenance["digest"],
        "licence": provenance["licence"],
        "source": provenance["source"],
        "images_seen": provenance["images_seen"],
        "parts": sorted(document["configs"]),
    }


def _style(path: Path, model: dict[str, Any]) -> dict[str, Any]:
    from mien.checkpoint.format import read_document

    document = read_document(path)
    return {
        "name": path.stem,
        "path": str(path),
        "bytes": path.stat().st_size,
        "resolution": document["resolution"],
        "hash": hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        "base": document["base"],
        "licence": model["licence"],
        "fits": document["base"] == model["hash"],
    }
