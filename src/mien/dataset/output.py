"""Writing the data set in one step: a zip, or a folder that gets its name when it is complete."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mien.dataset.selection import Kept
from mien.errors import InputError
from mien.files import parse_json, read_text, write_whole, written_whole

REPORT, TEXT = "report.json", "report.txt"
KIND = "mien dataset"


def is_zip(out: Path) -> bool:
    """Whether the name says that a zip is written, not a folder."""
    return out.suffix.lower() == ".zip"


def report_files(out: Path) -> tuple[Path, Path]:
    """Where the reports lie: in the folder, or beside the zip."""
    if is_zip(out):
        return out.with_name(f"{out.stem}.{REPORT}"), out.with_name(f"{out.stem}.{TEXT}")
    return out / REPORT, out / TEXT


def work_folder(out: Path) -> Path:
    """Where half-done work lies; hidden, so that no reader takes it for images."""
    return out.with_name(f".{out.name}.work")


def check_output(out: Path, sources: Sequence[Path], *, overwrite: bool) -> None:
    """Raise `InputError` where `out` cannot be written, exists without `overwrite`, or is not ours to replace."""
    here = out.resolve()
    for source in sources:
        there = source.resolve()
        if here == there:
            raise InputError(f"{out} is also a source, and is never overwritten: give another `out`.")
        if here in there.parents:
            raise InputError(f"{out} holds the source {source}, which is never overwritten: give another `out`.")
        if not is_zip(out) and there in here.parents:
            raise InputError(f"{out} lies in the source {source}, and would be read the next time: give another `out`.")
    if is_zip(out):
        if out.is_dir():
            raise InputError(f"{out} is a folder, and a zip is to be written there: give another name.")
        there_already = [path for path in (out, *report_files(out)) if path.exists()]
    else:
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file, and a folder is to be written there: give another name, or one with .zip.")
        there_already = [out] if out.is_dir() and any(out.iterdir()) else []
        if there_already and overwrite and not _is_ours(out):
            raise InputError(f"{out} is a folder that `mien dataset` did not make, and is not replaced: give another `out`.")
    if there_already and not overwrite:
        raise InputError(f"{there_already[0]} exists already: give another `out`, or `overwrite` to replace it.")


def _is_ours(folder: Path) -> bool:
    try:
        document = parse_json(read_text(folder / REPORT), folder / REPORT)
    except InputError:
        return False
    return isinstance(document, dict) and document.get("kind") == KIND


def write_output(out: Path, kept: Iterable[Kept], ending: str, reports: Mapping[str, str], work: Path) -> None:
    """Write the crops under their names, and the reports (by file name); `work` is on the same disk."""
    named = [(f"{k.target}.{ending}", k.crop.file) for k in kept]
    if is_zip(out):
        _write_zip(out, named)
        for path in report_files(out):
            write_whole(path, reports[REPORT if path.suffix == ".json" else TEXT])
        return
    ready = work / "ready"
    shutil.rmtree(ready, ignore_errors=True)  # left by a run that was killed here
    for name, file in named:
        target = ready / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(file, target)
    for name, text in reports.items():
        write_whole(ready / name, text)
    _take_the_place(ready, out, work / "old")


def _write_zip(out: Path, named: Iterable[tuple[str, Path]]) -> None:
    with written_whole(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, file in named:
            # One date for all: the same images make the same bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def _place(file: Path, target: Path) -> None:
    # A second name costs nothing, where the disk knows such.
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _take_the_place(ready: Path, out: Path, old: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        ready.rename(out)
        return
    shutil.rmtree(old, ignore_errors=True)
    out.rename(old)
    try:
        ready.rename(out)
    except OSError:
        old.rename(out)
        raise
