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
    every: int = 1
    """Steps from one time that it counts to the next; it weighs so many times as much (as the lazy regularization of Karras et
    al. 2020 does)."""


def total_loss(terms: list[LossTerm], rendering: Rendering, step: int = 0) -> Tensor:
    """The weighted sum of all terms that count in step number `step`, from 0: of the first step, all."""
    first, *others = (term.weight * term.every * term.function(rendering) for term in terms if step % term.every == 0)
    return sum(others, start=first)
