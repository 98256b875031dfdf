"""Whether weights make sense: finite numbers, and networks that belong together. Files are checked when they are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from mien.errors import CheckpointError, shown
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator


def first_broken(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a number that is NaN or infinite; None where all are finite."""
    broken = (n for n, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all()))
    return next(broken, None)


def check_finite(tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise `CheckpointError`, which names the first such tensor, where a number is NaN or infinite."""
    name = first_broken(tensors)
    if name is not None:
        raise CheckpointError(f"{what} is broken: {_not_finite(name)}; get it again.")


def problems_of(networks: Mapping[str, nn.Module | None]) -> Iterator[str]:
    """What is wrong with the networks of one file, {part: network}: one clause each."""
    for part, network in networks.items():
        if network is not None and (name := first_broken(network.state_dict())) is not None:
            yield f"the {part} {_not_finite(name)}"
    generator, discriminator = networks.get("generator"), networks.get("discriminator")
    if isinstance(generator, Generator) and isinstance(discriminator, Discriminator):
        drawn, seen = generator.config.resolution, discriminator.config.resolution
        if drawn != seen:
            yield f"its discriminator is for images of {seen} px, and its generator draws {drawn} px"


def check_networks(networks: Mapping[str, nn.Module | None], path: Path) -> None:
    """Raise `CheckpointError` for the first of the `problems_of` the networks that were read from `path`."""
    for problem in problems_of(networks):
        raise CheckpointError(f"{path} is broken: {problem}; get it again, or use another file.")


def _not_finite(name: str) -> str:
    return f"holds numbers that are not finite (first in {shown(name, 60)})"
