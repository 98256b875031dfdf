"""Which twin of the formulas runs: `plain` is the definition, `fast` (the default) must agree with it.

Of the low-pass filter the fast path has several methods, for devices that differ.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

from mien.runtime import FirMethod

T = TypeVar("T")
Implementation = Literal["plain", "fast"]

_current: ContextVar[Implementation] = ContextVar("mien_ops", default="fast")
_fir: ContextVar[FirMethod] = ContextVar("mien_fir", default="depthwise")


def current() -> Implementation:
    """The implementation that the formulas use now."""
    return _current.get()


def use_ops(implementation: Implementation) -> AbstractContextManager[None]:
    """Run the block with the given implementation of every formula in `mien.ops`.

    Backward passes follow the forward pass they belong to.
    """
    return _with(_current, implementation)


def current_fir() -> FirMethod:
    """The method of the low-pass filter that the fast path uses now."""
    return _fir.get()


def use_fir(method: FirMethod) -> AbstractContextManager[None]:
    """Run the block with the given method of the low-pass filter in the fast path (see `mien.ops.fir_methods`).

    Backward passes follow the forward pass they belong to.
    """
    return _with(_fir, method)


@contextmanager
def _with(variable: ContextVar[T], value: T) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
