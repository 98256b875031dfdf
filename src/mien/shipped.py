"""What ships with mien: the embedded model, its parts of the face, and the ready styles."""

from __future__ import annotations

from pathlib import Path

from mien.errors import InputError

DATA = Path(__file__).parent / "data"
EMBEDDED_MODEL = DATA / "faces.safetensors"
REGIONS = DATA / "regions.safetensors"
IDENTITY = DATA / "identity.safetensors"


def ready_styles() -> dict[str, Path]:
    """The styles that ship with mien: {name: file}."""
    return {path.stem: path for path in sorted((DATA / "styles").glob("*.safetensors"))}


def find_style(name: str | Path) -> Path:
    """The file of a style given by path or by the name of a ready one."""
    path = Path(name)
    ready = ready_styles()
    if not path.exists() and str(name) in ready:
        return ready[str(name)]
    if not path.exists():
        known = ", ".join(ready) or "none"
        raise InputError(f"There is no style {name}: give a style file, or one of the ready styles ({known}).")
    return path
