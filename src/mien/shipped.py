"""Files that ship with mien, found by their names. Nothing here waits for torch: a wrong name is reported at once."""

from __future__ import annotations

import warnings
from difflib import get_close_matches
from pathlib import Path

from mien.errors import InputError, MienWarning

DATA = Path(__file__).parent / "data"
EMBEDDED_MODEL = DATA / "faces.safetensors"
REGIONS = DATA / "regions.safetensors"
IDENTITY = DATA / "identity.safetensors"
MODEL_NAMES = (EMBEDDED_MODEL.stem, "mien-faces")
"""What the model that ships with mien is called: by its file, and by what it says of itself."""


def ready_styles() -> dict[str, Path]:
    """The styles that ship with mien: their names, and the files to copy or share.

    >>> mien.styles.ready_styles()["ink"].name
    'ink.safetensors'
    """
    return {path.stem: path for path in sorted((DATA / "styles").glob("*.safetensors"))}


def shipped(name: str | Path, kinds: str = "models styles") -> Path | None:
    """The file that ships with mien under this name, in capitals or not; None where there is none, or a file of the user's.

    A folder of that name is no style and no model, so it hides nothing; a file does, and a warning says so.
    """
    known = dict.fromkeys(MODEL_NAMES, EMBEDDED_MODEL) if "models" in kinds else {}
    known |= ready_styles() if "styles" in kinds else {}
    found = known.get(str(name).lower())
    if found is not None and Path(name).is_file():
        warnings.warn(f"{name} is the file of that name here, not what ships with mien.", MienWarning, stacklevel=2)
        return None
    return found


def find_style(name: str | Path) -> Path:
    """The file of a style given by path or by the name of a ready one, in capitals or not. Raises `InputError`."""
    found = shipped(name, "styles")
    if found is not None:
        return found
    if Path(name).exists():
        return Path(name)
    refuse_address(name)
    raise unknown_style(name)


def unknown_style(name: str | Path) -> InputError:
    """The error for a name that is no style's."""
    ready = ready_styles()
    close = get_close_matches(str(name).lower(), ready, 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return InputError(
        f"There is no style {name}: give a style file, or one of the ready styles ({', '.join(ready) or 'none'}).{meant}"
    )


def refuse_address(name: str | Path) -> None:
    """Raise `InputError` for an address of the net, also one that became a path (which has one slash less)."""
    if str(name).lower().startswith(("http:/", "https:/", "ftp:/")):
        raise InputError(f"{name} is an address, and mien opens files only: download it first, and give the file.")
