"""A data set from folders, zips and images: every file is examined once, then the best are kept and written."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mien import __version__
from mien.config import with_settings
from mien.dataset.config import CropConfig, SelectionConfig
from mien.dataset.crops import Examined, examine
from mien.dataset.journal import Journal
from mien.dataset.output import KIND, REPORT, TEXT, check_output, work_folder, write_output
from mien.dataset.selection import Dropped, Kept, SourceFile, select, target_of
from mien.dataset.workers import each
from mien.errors import InputError
from mien.folder_lock import only_process
from mien.media.collection import image_names, read_images
from mien.runtime import Progress

_FEW = 16  # images for which another process is not worth its start


@dataclass(frozen=True)
class Preparation:
    """The outcome of a preparation."""

    out: Path
    files: int
    """Images that were found in the sources."""
    kept: list[Kept]
    dropped: list[Dropped]
    settings: dict[str, Any]
    sources: list[str]

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "kind": KIND,
            "mien": __version__,
            "sources": self.sources,
            "settings": self.settings,
            "files": self.files,
            "kept": len(self.kept),
            "dropped": dict(Counter(drop.why for drop in self.dropped)),
            "folders": self.folders(),
            "images": [
                {"name": k.target, "source": k.source, "side": k.crop.crop.side, "sharpness": k.crop.crop.sharpness}
                for k in self.kept
            ],
            "left_out": [asdict(drop) for drop in self.dropped],
        }

    def folders(self) -> dict[str, int]:
        """How many images each top-level folder has; those in none are under ''."""
        return dict(sorted(Counter(k.target.rpartition("/")[0].split("/")[0] for k in self.kept).items()))

    def summary(self) -> list[str]:
        """Counts, for people: one line each."""
        lines = [f"{self.files} images read, {len(self.kept)} of {self.settings['resolution']} px kept"]
        counts = Counter(drop.why for drop in self.dropped)
        lines += [f"dropped {count}: {why}" for why, count in counts.most_common()]
        folders = self.folders()
        return lines + [f"folder {name or '(none)'}: {count}" for name, count in folders.items() if len(folders) > 1]

    def text(self) -> str:
        """The counts, and every image that was left out, with the reason."""
        left_out = [f"{drop.source}: {drop.why} ({drop.detail})" for drop in self.dropped]
        return "\n".join([*self.summary(), *(["", *left_out] if left_out else [])]) + "\n"


def prepare_dataset(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    crops: CropConfig | None = None,
    selection: SelectionConfig | None = None,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total, loss: None,
    **settings: Any,
) -> Preparation:
    """Write a data set to `out`, a zip where its name ends so, else a folder, and reports inside the folder or beside the zip.

    Images keep their sub-folders; of several sources, one that has none gives its images its own name as a folder. `out`
    appears when it is complete; what was done is kept beside it until then, and the same call goes on from there. More than one
    of `workers` are processes of their own; None: one per core, of few images one. Raises `InputError` for sources without
    images, where nothing is left, for an output that cannot be written or exists without `overwrite`, and where another
    process is making it.

    >>> mien.prepare_dataset("photos", "faces.zip", resolution=128).files
    """
    listed = [sources] if isinstance(sources, (str, Path)) else sources
    paths, out = [Path(source) for source in listed], Path(out)
    crops, selection = with_settings(settings, crops or CropConfig(), selection or SelectionConfig())
    min_side = crops.resolution // 2 if selection.min_side is None else selection.min_side
    total = sum(len(image_names(source)) for source in paths)
    if not total:
        raise InputError(f"There are no images in {', '.join(map(str, paths))}: give folders, zips or images.")
    if workers is None:
        workers = max(1, min(os.cpu_count() or 1, total // _FEW))
    if workers < 1:
        raise InputError(f"`workers` must be at least 1, got {workers}.")
    check_output(out, paths, overwrite=overwrite)
    with only_process(work_folder(out)):
        journal = Journal(work_folder(out), crops)
        files: list[SourceFile] = []
        for (sha, _, _), examined in each(partial(_examine, crops), _unknown(paths, files, journal, total, progress), workers):
            journal.add(sha, examined)
        kept, dropped = select(files, journal, selection, min_side)
        used = {**asdict(crops), **asdict(selection), "min_side": min_side}
        made = Preparation(out, len(files), kept, dropped, used, [str(source) for source in paths])
        if not kept:
            journal.remove()
            first = dropped[0]
            why = f"{first.source}: {first.why}, {first.detail.rstrip('.')}"
            raise InputError(f"None of the {len(files)} images can be kept (first: {why}): give others, or ask for less.")
        reports = {REPORT: json.dumps(made.document(), indent=1, ensure_ascii=False) + "\n", TEXT: made.text()}
        write_output(out, kept, crops.format, reports, journal.folder)
        journal.remove()
    return made


def _examine(config: CropConfig, file: tuple[str, bytes, str]) -> Examined:
    return examine(file[1], file[2], config)


def _unknown(
    sources: Sequence[Path], files: list[SourceFile], journal: Journal, total: int, progress: Progress
) -> Iterator[tuple[str, bytes, str]]:
    """SHA-256, content and name of every file that is not in the journal yet; all files are added to `files` on the way."""
    asked: set[str] = set()
    for source in sources:
        several = len(sources) > 1
        folder = target_of(source.stem) if several and (source.is_dir() or source.suffix.lower() == ".zip") else ""
        for name, data in read_images(source):
            shown = f"{source}/{name}" if several and source.name != name else name
            target = target_of(name, folder)
            if isinstance(data, str):
                files.append(SourceFile(shown, target, why_unread=data))
            else:
                sha = hashlib.sha256(data).hexdigest()
                files.append(SourceFile(shown, target, sha))
                if sha not in journal and sha not in asked:
                    asked.add(sha)
                    yield sha, data, name
            progress(len(files), total, 0.0)
