"""What a foreign file may claim, and the two ways in which it fails."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_OPERATIONS = 5_000_000  # a training state of two networks has about 50,000


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
