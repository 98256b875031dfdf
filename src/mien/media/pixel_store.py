"""Where the decoded images of a data set lie: in memory, or in a file where they would take too much of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.errors import InputError
from mien.media.image_data import Pixels
from mien.runtime import free_memory


class PixelStore:
    """Takes images of one size one by one, and hands all of them out as one tensor.

    The file has no name (where the system allows that) and vanishes with the tensor, however the process ends. The tensor reads
    from it what is asked for, and the system keeps as much of it in memory as there is room.
    """

    def __init__(self, most: int, resolution: int, *, memory_share: float, folder: Path | None = None) -> None:
        """Room for `most` images; a file in `folder` where they need more than `memory_share` of the free memory.

        `folder` None is the system's for temporary files.
        """
        self.shape, self.count = (3, resolution, resolution), 0
        free = free_memory()
        self.in_file = free is not None and most * 3 * resolution**2 > memory_share * free
        self.folder = folder or Path(tempfile.gettempdir())
        if self.in_file:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 (open until all is read)
            except OSError as error:
                raise self._refused(error) from error
        else:
            self._pixels = torch.empty((most, *self.shape), dtype=torch.uint8)

    def add(self, image: Pixels) -> None:
        """Store an image [R, R, 3] uint8; raises `InputError` where the disk is full."""
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        if not self.in_file:
            # numpy, not torch: waking torch's threads for every image would take longer than the copy.
            self._pixels.numpy()[self.count] = planes
        else:
            try:
                # Written, not mapped: a full disk is an error here, and would end the process there.
                self._file.write(planes.data)
            except OSError as error:
                raise self._refused(error) from error
        self.count += 1

    def pixels(self) -> Tensor:
        """All images, [count, 3, R, R] uint8; to be read only."""
        if not self.in_file:
            return self._pixels[: self.count]
        if not self.count:
            return torch.empty((0, *self.shape), dtype=torch.uint8)
        try:
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error
        # Copy on write, so that torch does not warn of an array that cannot be written.
        mapped = np.memmap(self._file, dtype=np.uint8, mode="c", shape=(self.count, *self.shape))
        self._file.close()  # the mapping holds it
        return torch.from_numpy(mapped)

    def _refused(self, error: OSError) -> InputError:
        return InputError(
            f"The images do not fit into memory, and {self.folder} does not take them ({error.strerror}): free some space "
            "there, or train at a smaller resolution."
        )
