"""What a weights file may claim, and the two ways in which a foreign one fails (docs/limits.md says what it comes to)."""

from __future__ import annotations

from dataclasses import dataclass

MOST_BYTES = 4 << 30
"""Bytes of a weights file that are read at most; the largest published one (e4e) has 1.2 GB."""

# A training state of two networks has about 50,000. Each may make a container of up to 400 bytes.
_MAX_OPERATIONS = 1_000_000


class DamagedError(Exception):
    """The bytes do not form what they should; the caller names the file."""


class RefusedError(Exception):
    """The bytes ask for something that weights do not need; the caller names the file."""


@dataclass
class Budget:
    """What one file may make us allocate and do: bounded by its own size, so that a small file cannot claim much."""

    nbytes: int
    operations: int = _MAX_OPERATIONS

    def spend(self, nbytes: int = 0, operations: int = 0) -> None:
        """Account for an allocation or for work."""
        self.nbytes -= nbytes
        self.operations -= operations
        if nbytes < 0 or self.nbytes < 0:
            raise DamagedError("claims more data than it holds")
        if self.operations < 0:
            raise RefusedError("is far more complicated than weights are")
