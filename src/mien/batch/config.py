"""Which of many photos are processed, and how the work is shared and reported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mien.errors import InputError


@dataclass(frozen=True)
class FilesConfig:
    """Which photos are read, and which images are written."""

    overwrite: Annotated[bool, "replace outputs that exist"] = False
    skip_existing: Annotated[bool, "skip outputs that exist already: resumes an interrupted run"] = False
    recursive: Annotated[bool, "include sub-folders"] = False


@dataclass(frozen=True)
class BatchConfig(FilesConfig):
    """The same, and how the work is shared."""

    shard: Annotated[str | None, "work on share I of N, for several machines on the same photos, such as 3/16"] = None
    report: Annotated[
        Path | None, "JSON Lines file to append to, one line per image: input, output, style, faces, seconds, error"
    ] = None
    ray: Annotated[
        str | None, "run on a Ray cluster: its address, such as auto or ray://head:10001, or local for this machine"
    ] = None
    workers: Annotated[int | None, "with `ray`: number of workers; None: one per CPU of the cluster"] = None

    def __post_init__(self) -> None:
        if isinstance(self.report, str):
            object.__setattr__(self, "report", Path(self.report))
        self.shard_numbers  # noqa: B018 (for its check)
        if self.workers is not None and (self.workers < 1 or self.ray is None):
            raise InputError("`workers` is a number from 1 of processes on a Ray cluster, and belongs to `ray`.")

    @property
    def shard_numbers(self) -> tuple[int, int]:
        """Which share, from 1, of how many; (1, 1) is all."""
        if self.shard is None:
            return 1, 1
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", self.shard.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"`shard` is written I/N with I from 1 to N, such as 3/16; got '{self.shard}'.")
        return int(found[1]), int(found[2])
