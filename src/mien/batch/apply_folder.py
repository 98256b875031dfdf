"""A style on all photos of folders or lists: what `mien apply` does with many."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mien.batch.account import Account
from mien.batch.cluster import Task, each_done_on_ray
from mien.batch.config import BatchConfig, FilesConfig
from mien.batch.plan import Job, check_outputs, divided, jobs_in_folder
from mien.batch.work import Done, Order, each_done
from mien.config import with_settings
from mien.errors import InputError
from mien.faces.config import AlignConfig
from mien.media.storage import is_folder, photos_of, place
from mien.render_config import RenderConfig
from mien.runtime import Progress
from mien.shipped import find_style

if TYPE_CHECKING:
    from mien.pipeline import Stylizer

Photos: TypeAlias = "str | Path | Sequence[str | Path]"


@dataclass
class Batch:
    """The outcome of a batch."""

    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """{photo: why}."""
    there_already: int = 0
    seconds: float = 0.0


def plan_folder(photos: Photos, styles: Sequence[str], out: str | Path, files: FilesConfig) -> tuple[list[Job], list[Job]]:
    """What is to be made of `photos` (folders, files, addresses) in styles of these names, and what is there already.

    Only the share of `files.shard`, if `files` has one. Raises `InputError` for whatever cannot be, before any work.
    """
    listed = [photos] if isinstance(photos, (str, Path)) else photos
    named: dict[Path, str] = {}
    for one in map(place, listed):
        named |= photos_of(one, recursive=files.recursive) if is_folder(one) else {one: one.name}
    jobs = jobs_in_folder(named, styles, place(out))
    jobs, there = divided(jobs, named, files)
    check_outputs([job.out for job in jobs], named, overwrite=files.overwrite)
    return jobs, there


def recorded(dones: Iterator[Done], there: Sequence[Job], names: Sequence[str], account: Path | None) -> Iterator[Done]:
    """The same, each first written to the report, if there is one.

    What was `there` already and has no line in it gets one, in styles of these `names`: its writer was killed between the two.
    """
    if account is None:
        yield from dones
        return
    book = Account(account)
    try:
        for job in book.without_line(there):
            book.add(Done(job, names[job.style], 0.0))
        for done in dones:
            book.add(done)
            yield done
    finally:
        book.close()


def apply_folder(
    photos: Photos, style: str | Path | Sequence[str | Path], out: str | Path, config: RenderConfig | None = None, *,
    align: AlignConfig | None = None, files: BatchConfig | None = None, model: str | Path | Stylizer | None = None,
    progress: Progress | None = None, **settings: Any,
) -> Batch:  # fmt: skip
    """Apply one or more styles to all photos of folders or lists, into the folder `out`; a photo may fail alone.

    Photos and `out` may be addresses that fsspec opens, such as s3://bucket/photos. `files` says which are taken, whether to
    resume (`skip_existing`), which share is done here, where a report is written, and whether a Ray cluster does the work.
    `settings` are those of `config` and `files` by name, as in `strength=0.8`. `model` is a name or file; without a cluster
    also a `Stylizer`. Raises `InputError` before any work if something is wrong.

    >>> mien.apply_folder("photos", "ink", "results", skip_existing=True).written
    """
    begun = time.monotonic()
    config, files = with_settings(settings, config or RenderConfig(), files or BatchConfig())
    styles = [find_style(one) for one in ([style] if isinstance(style, (str, Path)) else style)]
    names = [path.stem for path in styles]
    jobs, there = plan_folder(photos, names, out, files)
    order = Order(config, align or AlignConfig(), files.overwrite)
    done = Batch(there_already=len(there))
    if files.ray is not None:
        if model is not None and not isinstance(model, (str, Path)):
            raise InputError("Workers of a cluster load the model themselves: give its name or file as `model`.")
        dones = each_done_on_ray(Task(order, tuple(map(str, styles)), None if model is None else str(model)), jobs, files)
    elif jobs:
        dones = _here(styles, jobs, order, model)
    else:
        dones = iter(())
    for count, one in enumerate(recorded(dones, there, names, files.report), 1):
        if one.error is None:
            done.written += 1
        else:
            done.failed[str(one.job.photo)] = str(one.error)
        if progress is not None:
            progress(count, len(jobs), 0.0)
    done.seconds = time.monotonic() - begun
    return done


def _here(styles: Sequence[Path], jobs: Sequence[Job], order: Order, model: str | Path | Stylizer | None) -> Iterator[Done]:
    from mien.pipeline import Stylizer
    from mien.styles import open_style

    pipe = model if isinstance(model, Stylizer) else Stylizer.load(model)
    return each_done(pipe, [open_style(path, pipe.model) for path in styles], jobs, order)
