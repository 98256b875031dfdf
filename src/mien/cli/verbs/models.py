"""`mien models`: what ships with the program, and well-known models of others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from mien.cli.machine import Screen
from mien.cli.paths import resolve_file
from mien.cli.result import Report, progress, table
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.checkpoint.hub.published import PublishedFile

EXAMPLES = (
    "mien models",
    "mien models --json",
    "mien models get ffhq-nvidia",
    "mien models get e4e-ffhq --file e4e_ffhq_encode.pt",
)
NEEDS_ARGUMENTS = False

_USE = (
    "mien models get ffhq-nvidia",
    "mien models get e4e-ffhq",
    "mien stylize me.jpg --style reference.png --model ffhq-nvidia --encoder e4e-ffhq -o out.png",
)


def run(
    screen: Screen,
    action: Annotated[Literal["get"] | None, Argument(metavar="get", help="Download a third-party model.")] = None,
    name: Annotated[str | None, Argument(metavar="NAME", help="Which one; `mien models` lists them.")] = None,
    file: Annotated[
        Path | None,
        Option("--file", help="Use this file instead of downloading it."),
    ] = None,
    out: Annotated[
        Path | None,
        Option("--out", "-o", help="File to write; default: one in the folder of models."),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace a different file of that name.")] = False,
) -> Report:
    """List the face model and styles that come with mien, and well-known models by others; `get` downloads one.

    Nothing is downloaded without `get`. Each file has its own license, which you accept by using it.
    """
    if action is None:
        if file or out or overwrite:
            raise InputError("--file, --out and --overwrite belong to `mien models get NAME`: say which model.")
        return _list()
    from mien.checkpoint.hub.published import PUBLISHED, published

    if name is None:
        raise InputError(f"`mien models get` needs a name: {', '.join(entry.name for entry in PUBLISHED)}.")
    return _get(published(name), file, out, overwrite=overwrite, quiet=screen.quiet)


def _get(entry: PublishedFile, file: Path | None, out: Path | None, *, overwrite: bool, quiet: bool) -> Report:
    from mien.checkpoint.hub.get import download_model

    if file is None and not quiet:
        size = f"{entry.bytes / 1e6:.0f} MB" if entry.bytes else "size unknown"
        print(f"mien: {entry.file} ({size}) by {entry.author}; license: {entry.license}", file=sys.stderr)
    try:
        with progress("megabytes", quiet=quiet) as advance:
            target = download_model(
                entry.name, out, file=None if file is None else resolve_file(file), overwrite=overwrite, progress=advance
            )
    except KeyboardInterrupt:
        if file is None and not quiet:
            print("mien: what came is kept; the same command goes on.", file=sys.stderr)
        raise
    report = Report()
    report.wrote(target, {"name": entry.name, "bytes": target.stat().st_size, "license": entry.license})
    return report


def _list() -> Report:
    from mien.checkpoint.hub.published import PUBLISHED
    from mien.shipped import EMBEDDED_MODEL, ready_styles

    model = _model(EMBEDDED_MODEL)
    styles = [_style(path, model) for path in ready_styles().values()]
    others = [_other(entry) for entry in PUBLISHED]
    rows = [
        (kind, entry["name"], f"{entry['resolution']} px", f"{entry['bytes'] / 1e6:.1f} MB", entry["hash"], entry["license"])
        for kind, entry in [("model", model), *(("style", style) for style in styles)]
    ]
    lines = table(("kind", "name", "images", "file", "hash", "license"), rows)
    lines += [f"{model['name']} was {model['source']}", "", "models of others, which you get yourself:"]
    lines += table(
        ("kind", "name", "images", "file", "here", "from", "license"),
        [
            (
                entry["role"],
                entry["name"],
                f"{entry['resolution']} px",
                f"{entry['file']}, {entry['bytes'] / 1e6:.0f} MB" if entry["bytes"] else entry["file"],
                "yes" if entry["path"] else "no",
                entry["author"],
                entry["license"],
            )
            for entry in others
        ],
    )
    lines += ["", "for example:", *(f"  {line}" for line in _USE)]
    return Report(lines=lines, document={"models": [model], "styles": styles, "others": others})


def _other(entry: PublishedFile) -> dict[str, Any]:
    from dataclasses import asdict

    from mien.checkpoint.hub.published import place_of

    place = place_of(entry)
    return {**asdict(entry), "path": str(place) if place.exists() else None}


def _model(path: Path) -> dict[str, Any]:
    from mien.checkpoint.native import read_document

    document = read_document(path)
    provenance = document["provenance"]
    return {
        "name": provenance["name"],
        "path": str(path),
        "bytes": path.stat().st_size,
        "resolution": document["configs"]["generator"]["resolution"],
        "hash": provenance["digest"],
        "license": provenance["licence"],
        "source": provenance["source"],
        "images_seen": provenance["images_seen"],
        "parts": sorted(document["configs"]),
    }


def _style(path: Path, model: dict[str, Any]) -> dict[str, Any]:
    from mien.checkpoint.native import read_document
    from mien.files import file_digest

    document = read_document(path)
    return {
        "name": path.stem,
        "path": str(path),
        "bytes": path.stat().st_size,
        "resolution": document["resolution"],
        "hash": file_digest(path),
        "base": document["base"],
        "license": model["license"],
        "fits": document["base"] == model["hash"],
    }
