"""Region files: which channels of a model's S space drive which part of a face, a few hundred kilobytes per model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from mien.checkpoint import native
from mien.checkpoint.soundness import check_finite
from mien.errors import CheckpointError, ModelMismatchError, shown
from mien.latents import style_layers
from mien.models.generator import Generator

KIND = "regions"
_LAYER = "membership."
_T = TypeVar("_T")


@dataclass(frozen=True)
class Regions:
    """The parts of a face as one model draws them."""

    base: str
    """Digest of the generator that they belong to."""
    names: tuple[str, ...]
    """The parts: eyes, mouth, ..."""
    size: int
    """Side of the feature map that is divided, in pixels: the output of that block."""
    centers: Tensor
    """[K, C]: unit directions of features; each pixel of the map belongs to the nearest."""
    owners: Tensor
    """[K]: the part (index in `names`) of each direction."""
    place: Tensor
    """[parts, size, size]: how often each pixel belongs to each part by its place alone, 0 to 1."""
    membership: Mapping[str, Tensor]
    """{S layer: [parts, channels]}: how much of each channel drives which part; sums to 1 over the parts."""

    def check_fits(self, generator: Generator, digest: str) -> None:
        """Raise `ModelMismatchError` unless the regions were found in this generator, whose digest is `digest`."""
        if digest != self.base:
            raise ModelMismatchError(
                f"These regions belong to another model ({self.base}, this one is {digest}): make its own with `mien regions`."
            )
        config, network = generator.config, generator.synthesis
        layers = {layer.name: len(network.layer(layer.name).affine.weight) for layer in style_layers(config.resolution)}
        sizes = self.size in network.resolutions and self.centers.shape[1] == config.channels(self.size)
        if not sizes or {name: m.shape[1] for name, m in self.membership.items()} != layers:
            raise ModelMismatchError(
                "These regions name this model, but have other channels than it: the file is damaged, create it again with "
                "`mien regions`."
            )

    def weights(self, amounts: Mapping[str, float]) -> dict[str, Tensor]:
        """{S layer: [channels]}: for each channel the mean of the parts' `amounts` by its membership; parts not named are 0."""
        values = torch.tensor([amounts.get(name, 0.0) for name in self.names])
        return {layer: values.to(shares) @ shares for layer, shares in self.membership.items()}

    def channels(self, name: str) -> dict[str, Tensor]:
        """{S layer: [channels] bool}: the channels that drive this part more than any other."""
        part = self.names.index(name)
        return {layer: shares.argmax(dim=0) == part for layer, shares in self.membership.items()}

    def counts(self) -> dict[str, int]:
        """{part: number of channels that drive it more than any other}."""
        found = torch.cat([shares.argmax(dim=0) for shares in self.membership.values()])
        return dict(zip(self.names, torch.bincount(found, minlength=len(self.names)).tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write the regions to `path`, in half precision, in place of what is there."""
        tensors = {f"{_LAYER}{layer}": shares.half() for layer, shares in self.membership.items()}
        tensors |= {"centres": self.centers.half(), "owners": self.owners, "place": self.place.half()}
        native.write(path, KIND, tensors, {"base": self.base, "names": list(self.names), "size": self.size})

    @classmethod
    def load(cls, path: Path) -> Regions:
        """Read a file of regions; raises `CheckpointError` when it is not one."""
        tensors, document = native.read(path)
        if document["kind"] != KIND:
            raise CheckpointError(f"{path} is a {document['kind']} of mien, not a file of regions: see `mien inspect {path}`.")
        check_finite(tensors, f"The file of regions {path}")
        try:
            found = cls(
                base=_checked(document["base"], str), names=tuple(_checked(name, str) for name in document["names"]),
                size=_checked(document["size"], int), centers=tensors.pop("centres").float(), owners=tensors.pop("owners"),
                place=tensors.pop("place").float(),
                membership={name.removeprefix(_LAYER): shares.float() for name, shares in tensors.items()},
            )  # fmt: skip
            found._check_shapes()
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} is a damaged file of regions ({shown(error)}): create it again with `mien regions`."
            ) from error
        return found

    def _check_shapes(self) -> None:
        parts, owners = len(self.names), self.owners
        shapes = self.centers.ndim == 2 and owners.shape == self.centers.shape[:1] and owners.dtype == torch.int64
        places = self.place.shape == (parts, self.size, self.size)
        members = self.membership and all(m.ndim == 2 and len(m) == parts for m in self.membership.values())
        if not (shapes and places and members) or bool(((owners < 0) | (owners >= parts)).any()):
            raise ValueError("its tensors do not fit together")


def _checked(value: Any, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    return value
