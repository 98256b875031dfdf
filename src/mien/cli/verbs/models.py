"""`mien models`: what ships with the program."""

from __future__ import annotations

from mien.cli.flags import ScreenFlags
from mien.cli.report import Report, table

EXAMPLES = ("mien models", "mien models --json")
NEEDS_ARGUMENTS = False


def run(screen: ScreenFlags) -> Report:
    """List the embedded face model and the ready styles, with size, licence and hash."""
    from mien.checkpoint.describe import describe
    from mien.stylizer import embedded_model, ready_styles

    report = Report(document={"models": [], "styles": []})
    rows = []
    for kind, name, path in [("model", "(embedded)", embedded_model()), *(("style", n, p) for n, p in ready_styles().items())]:
        facts = describe(path)
        entry = {"name": name, "file": str(path), "bytes": path.stat().st_size, **facts}
        report.document[f"{kind}s"].append(entry)
        rows.append(
            (
                kind,
                name,
                f"{facts.get('resolution')} px",
                f"{entry['bytes'] / 1e6:.1f} MB",
                facts.get("digest") or facts.get("base"),
                facts.get("licence", ""),
            )
        )
    report.lines = table(("kind", "name", "size", "file", "hash", "licence"), rows)
    return report
