"""What a style is learned from: the references, and all that is known of them, in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mien.latents import StyleCodes
from mien.oneshot.other_faces import OwnFaces


@dataclass(frozen=True)
class References:
    """N aligned images of one style.

    There may be several views of each reference, such as its mirror image: N is views times references, and image
    `v * count + i` is view v of reference i.
    """

    images: Tensor
    """[N, 3, R, R] in [-1, 1]."""
    w_plus: Tensor
    """Their codes, [N, num_ws, w_dim], on the device that computes."""
    weights: tuple[float, ...] = ()
    """How much each reference counts; empty: all the same."""
    valid: Tensor | None = None
    """[N, 1, R, R] in [0, 1]: how much of each pixel lies inside the image that the image was cut from; None: all of it."""
    feature_codes: Tensor | None = None
    """Their feature codes [N, C, r, r] (the F of F/W+); None: they have none."""
    views: int = 1
    """Images per reference."""
    mixing_latents: Tensor | None = None
    """Codes [M, num_ws, w_dim] that random layers are taken from; None: those of the mapping network."""
    other_faces: OwnFaces | None = None
    """Faces of other people, whose features are to be distributed as the references'; None: there is no such loss."""
    moved: tuple[float, ...] = ()
    """How far each reference was warped by registration, in units of the side; empty: not at all."""
    styles: StyleCodes | None = None
    """S codes [N] to learn from instead of those of `w_plus`."""
    part_channels: Mapping[str, Mapping[str, Tensor]] | None = None
    """Channels of the parts of the face that a mask may name, {part: {S layer: [channels] bool}}."""

    def __post_init__(self) -> None:
        if len(self.images) != len(self.w_plus) or len(self.images) % self.views:
            raise ValueError(f"{len(self.images)} images of {self.views} views with {len(self.w_plus)} codes")
        if self.weights and len(self.weights) != self.count:
            raise ValueError(f"{len(self.weights)} weights for {self.count} references")

    @property
    def count(self) -> int:
        """How many references there are; their views are not counted."""
        return len(self.images) // self.views

    @property
    def outside(self) -> tuple[float, ...]:
        """The share of each reference that lies beyond its image's border and was made up, 0 to 1."""
        if self.valid is None:
            return (0.0,) * self.count
        # Pixels that touch the border from inside are no addition: only centers outside count.
        return tuple(float(share) for share in (self.valid[: self.count] < 0.5).float().mean(dim=(1, 2, 3)))


def merge_duplicates(images: Sequence[Tensor], weights: Sequence[float] | None = None) -> tuple[list[int], tuple[float, ...]]:
    """Images with the same content as one: the indices of the first of each, and their summed weights (None: 1 each)."""
    first: dict[str, int] = {}
    total: dict[str, float] = {}
    for i, image in enumerate(images):
        digest = hashlib.sha256(image.numpy().tobytes()).hexdigest()
        first.setdefault(digest, i)
        total[digest] = total.get(digest, 0.0) + (1.0 if weights is None else weights[i])
    return list(first.values()), tuple(total.values())
