"""Which twin of the formulas runs: `plain` is the definition, `fast` (the default) must agree with it.

Of the low-pass filter the fast twin has several methods, for devices that differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Implementation = Literal["plain", "fast"]

FirMethod = Literal["depthwise", "planes", "shifts", "triton"]

_current: ContextVar[Implementation] = ContextVar("mien_ops", default="fast")
_fir: ContextVar[FirMethod] = ContextVar("mien_fir", default="depthwise")


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


def current_fir() -> FirMethod:
    """The method of the low-pass filter that the fast twin uses now."""
    return _fir.get()


@contextmanager
def use_fir(method: FirMethod) -> Iterator[None]:
    """Run the block with the given method of the low-pass filter in the fast twin (see `mien.ops.fir_methods`).

    Backward passes follow the forward pass they belong to.
    """
    token = _fir.set(method)
    try:
        yield
    finally:
        _fir.reset(token)
