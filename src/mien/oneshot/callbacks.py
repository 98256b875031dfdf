"""What can be had from a fit while it runs: preview images, and a state to go on from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mien.errors import InputError
from mien.media.contact_sheet import sheet
from mien.media.image_data import from_tensor
from mien.media.images import write_image
from mien.models.generator import SynthesisNetwork
from mien.models.sampling import images_of, random_codes
from mien.oneshot.checkpointing import save_fit
from mien.oneshot.config import SnapshotConfig
from mien.oneshot.tuner import OneShotTuner

_STATE_EVERY, _PREVIEW_EVERY = 50, 50
_REFERENCES, _FACES = 4, 6
_LARGEST_CELL, _SMALLEST_CELL = 256, 96


def has_previews(folder: Path) -> bool:
    """Whether a fit has left previews in `folder`."""
    return next(folder.glob("step-*.png"), None) is not None


def check_previews(config: SnapshotConfig, *, overwrite: bool) -> None:
    """Refuse a folder that holds previews of another fit, unless they may be overwritten or a state there is resumed."""
    resumed = config.state is not None and config.state.exists()
    if config.previews is not None and has_previews(config.previews) and not overwrite and not resumed:
        raise InputError(f"{config.previews} has previews in it: give another folder, or set `overwrite` to replace them.")


class Follower:
    """Called after every step of a tuner."""

    def __init__(self, tuner: OneShotTuner, config: SnapshotConfig, base: str) -> None:
        """`base` is the digest of the generator that is tuned."""
        self.tuner, self.config, self.base = tuner, config, base
        self.before: list[Tensor] | None = None
        self.every = config.preview_every or _PREVIEW_EVERY
        if config.previews is not None:
            g = tuner.base
            if tuner.references.mixing_latents is not None:
                self.faces = tuner.references.mixing_latents[:_FACES]
            else:
                self.faces = random_codes(g, _FACES)

    def __call__(self, step: int) -> None:
        """Write what is due after `step` steps."""
        if self.config.state is not None and step % _STATE_EVERY == 0:
            save_fit(self.config.state, self.tuner, self.base)
        if self.config.previews is not None and step % self.every == 0:
            self.preview(self.config.previews, step)

    def finish(self) -> None:
        """Write the state and the preview of the last step, whether they are due or not."""
        step = len(self.tuner.losses)
        if self.config.state is not None and step % _STATE_EVERY:
            save_fit(self.config.state, self.tuner, self.base)
        if self.config.previews is not None and step % self.every:
            self.preview(self.config.previews, step)

    def preview(self, folder: Path, step: int) -> None:
        """Two rows: references and random faces of the base model; the same codes in the style as it is now."""
        tuner = self.tuner
        count = min(_REFERENCES, tuner.references.count)
        codes = torch.cat([tuner.references.w_plus[:count], self.faces])
        if self.before is None:
            self.before = _images(tuner.base.synthesis, self.faces)
        before = [*tuner.images[:count], *self.before]
        after = _images(tuner.result, codes)
        size = min(max(tuner.base.config.resolution, _SMALLEST_CELL), _LARGEST_CELL)
        drawn = sheet([before, after], size=size)
        write_image(folder / f"step-{step:05d}.png", from_tensor(drawn), overwrite=True)


@torch.no_grad()
def _images(network: SynthesisNetwork, w_plus: Tensor) -> list[Tensor]:
    return list(images_of(network, w_plus, batch=1))
