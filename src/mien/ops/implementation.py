"""Which twin of the formulas runs: `plain` is the definition, `fast` (the default) must agree with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Implementation = Literal["plain", "fast"]

_current: ContextVar[Implementation] = ContextVar("mien_ops", default="fast")


def current() -> Implementation:
    """The implementation that the formulas use now."""
    return _current.get()


@contextmanager
def use_ops(implementation: Implementation) -> Iterator[None]:
    """Run the block with the given implementation of every formula in `mien.ops`.

    Backward passes follow the forward pass they belong to.
    """
    token = _current.set(implementation)
    try:
        yield
    finally:
        _current.reset(token)
