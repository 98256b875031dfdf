"""What a step of one-shot fine-tuning minimizes: a sum of terms, each a function of what was rendered in the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class Rendering:
    """One step's images of the tuned generator, and whose they are."""

    index: Tensor
    """[n]: the references that the images are to look like."""
    image: Tensor
    """[n, 3, R, R], with gradients."""
    base: Callable[[], Tensor]
    """Renders the same codes, noise and feature codes by the base model."""

    @cached_property
    def base_image(self) -> Tensor:
        """[n, 3, R, R]: what the base model makes of the same codes; rendered once, and only for terms that ask for it."""
        return self.base()


@dataclass(frozen=True)
class LossTerm:
    """A summand of the loss."""

    name: str
    weight: float
    function: Callable[[Rendering], Tensor]
    """The term's value, a scalar, before it is weighted."""


def total_loss(terms: list[LossTerm], rendering: Rendering) -> Tensor:
    """The weighted sum of all terms."""
    first, *others = (term.weight * term.function(rendering) for term in terms)
    return sum(others, start=first)
