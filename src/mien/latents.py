"""The codes of a StyleGAN2: the layer table, W+ rows, the S space, masks and mixing.

`z` -> mapping -> `w` -> broadcast -> `w_plus` [N, num_ws, w_dim] -> affine layers -> `StyleCodes` (S), one vector per
modulated layer. Row 0 drives the 4 px convolution; row 2k-5 drives the toRGB of 2^(k-1) px *and* the up-convolution to 2^k px;
row 2k-4 the second convolution at 2^k px; the last row the final toRGB. Mixing in S removes that double duty of the odd rows
(JoJoGAN, appendix A.3).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

LayerKind = Literal["up", "conv", "rgb"]


@dataclass(frozen=True)
class StyleLayer:
    """One modulated layer: its name (`64up`, `64conv`, `64rgb`), resolution in pixels, kind and the W+ row that drives it."""

    name: str
    resolution: int
    kind: LayerKind
    row: int


def resolutions(resolution: int) -> tuple[int, ...]:
    """The block sizes 4, 8, ..., `resolution`."""
    return tuple(1 << k for k in range(2, resolution.bit_length()))


def num_ws(resolution: int) -> int:
    """Number of W+ rows: 2 * log2(R) - 2."""
    return 2 * (resolution.bit_length() - 1) - 2


@lru_cache
def style_layers(resolution: int) -> tuple[StyleLayer, ...]:
    """The 3 * log2(R) - 4 modulated layers in the order in which they act."""
    layers = [StyleLayer("4conv", 4, "conv", 0), StyleLayer("4rgb", 4, "rgb", 1)]
    for k in range(3, resolution.bit_length()):
        size = 1 << k
        layers += [
            StyleLayer(f"{size}up", size, "up", 2 * k - 5),
            StyleLayer(f"{size}conv", size, "conv", 2 * k - 4),
            StyleLayer(f"{size}rgb", size, "rgb", 2 * k - 3),
        ]
    return tuple(layers)


@dataclass(frozen=True)
class StyleCodes:
    """A point of the S space: `{layer name: [N, channels]}`, with plain arithmetic.

    Binary operations take another `StyleCodes` of the same layers (the batch size 1 broadcasts) or a number.
    """

    layers: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    @property
    def batch(self) -> int:
        """The number of codes N."""
        return next(iter(self.layers.values())).shape[0]

    def map(self, function: Callable[[Tensor], Tensor]) -> StyleCodes:
        """Apply `function` to every layer's [N, channels] tensor."""
        return StyleCodes({name: function(s) for name, s in self.layers.items()})

    def __add__(self, other: StyleCodes | float) -> StyleCodes:
        return self._zip(other, torch.add)

    def __sub__(self, other: StyleCodes | float) -> StyleCodes:
        return self._zip(other, torch.sub)

    def __mul__(self, other: StyleCodes | float) -> StyleCodes:
        return self._zip(other, torch.mul)

    def lerp(self, other: StyleCodes, weight: float) -> StyleCodes:
        """`self` at weight 0, `other` at weight 1."""
        return self + (other - self) * weight

    def _zip(self, other: StyleCodes | float, op: Callable[..., Tensor]) -> StyleCodes:
        if not isinstance(other, StyleCodes):
            return self.map(lambda s: op(s, other))
        if list(self.layers) != list(other.layers):
            raise ValueError(f"style codes of different models: {len(self.layers)} layers and {len(other.layers)} layers")
        return StyleCodes({name: op(s, other.layers[name]) for name, s in self.layers.items()})

    def select(self, index: slice | Tensor) -> StyleCodes:
        """The codes at `index` of the batch."""
        return self.map(lambda s: s[index])

    def detach(self) -> StyleCodes:
        """The same codes without their gradient history."""
        return self.map(Tensor.detach)


def broadcast(w: Tensor, rows: int) -> Tensor:
    """[N, w_dim] -> [N, rows, w_dim], the same code in every row."""
    if w.ndim != 2:
        raise ValueError(f"w must be [N, w_dim], got {list(w.shape)}")
    return w[:, None].expand(-1, rows, -1)


def truncate(w: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Pull `w` ([N, w_dim] or [N, num_ws, w_dim]) towards the mean code: `w_avg + psi * (w - w_avg)`.

    `cutoff` limits this to the first rows of a W+ code; `None` takes all.
    """
    pulled = w_avg + psi * (w - w_avg)
    if cutoff is None or w.ndim == 2:
        return pulled
    return torch.cat([pulled[:, :cutoff], w[:, cutoff:]], dim=1)


RandomLayers = Collection[str] | Mapping[str, Tensor]
"""Which part of S is random: whole layers by name, or {layer: [channels] bool}."""


def wholly_random(random_layers: RandomLayers, name: str) -> bool:
    """Whether every channel of the S layer `name` is random."""
    if isinstance(random_layers, Mapping):
        return name in random_layers and bool(random_layers[name].all())
    return name in random_layers


def mix_styles(reference: StyleCodes, random: StyleCodes, random_layers: RandomLayers) -> StyleCodes:
    """`M * reference + (1 - M) * random` in S (JoJoGAN, equation 1); M = 0 for what `random_layers` names."""
    if isinstance(random_layers, Mapping):
        masks = {name: mask.to(reference[name].device) for name, mask in random_layers.items()}
        return StyleCodes({n: torch.where(masks[n], random[n], s) if n in masks else s for n, s in reference.layers.items()})
    return StyleCodes({name: random[name] if name in random_layers else s for name, s in reference.layers.items()})


def blend_styles(start: StyleCodes, end: StyleCodes, weights: Mapping[str, Tensor]) -> StyleCodes:
    """`start` where `weights` {layer: [channels]} are 0 or a layer is not named, `end` where they are 1."""
    return StyleCodes(
        {n: torch.lerp(s, end[n].expand_as(s), weights[n].to(s)) if n in weights else s for n, s in start.layers.items()}
    )


def keep_below(resolution: int, start: int) -> frozenset[str]:
    """The S layers before the up-convolution to `start` pixels: pose, shape and hair; the rest is free to be random."""
    return frozenset(layer.name for layer in style_layers(resolution) if layer.resolution < start)


def mix_rows(reference: Tensor, random: Tensor, random_rows: Sequence[int]) -> Tensor:
    """W+ mixing: `reference` [N, num_ws, w_dim] with the given rows taken from `random` [N, num_ws, w_dim] or [N, w_dim]."""
    mixed = reference.clone()
    rows = [row for row in random_rows if row < reference.shape[1]]
    mixed[:, rows] = random[:, None] if random.ndim == 2 else random[:, rows]
    return mixed


USUAL_FIDELITY = 0.7
"""Weight of a face's feature code where nobody says."""


@dataclass(frozen=True)
class Codes:
    """What an inversion finds for N images: W+ codes and feature codes."""

    w_plus: Tensor
    """[N, num_ws, w_dim]."""
    feature_code: Tensor | None = None
    """[N, C, r, r], added to the generator's features of r px (F/W+ space: Kang et al. 2021); None: W+ says it all."""

    def scaled(self, fidelity: float) -> Codes:
        """The same with the feature code times `fidelity`: 0 leaves W+ alone."""
        return replace(self, feature_code=None if self.feature_code is None or fidelity == 0 else self.feature_code * fidelity)

    def single(self) -> list[Codes]:
        """One `Codes` for every image."""
        feature_codes = [None] * len(self.w_plus) if self.feature_code is None else list(torch.split(self.feature_code, 1))
        return [Codes(w, d) for w, d in zip(torch.split(self.w_plus, 1), feature_codes, strict=True)]
