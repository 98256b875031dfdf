"""What an inversion finds: codes, and what of the picture no code can say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Codes:
    """The inversion of N pictures."""

    w_plus: Tensor
    """[N, num_ws, w_dim]."""
    detail: Tensor | None = None
    """[N, C, r, r], added to the generator's features of r px (F/W+ space: Kang et al. 2021); None: W+ says it all."""

    def scaled(self, likeness: float) -> Codes:
        """The same with the detail map times `likeness`: 0 leaves W+ alone."""
        return replace(self, detail=None if self.detail is None or likeness == 0 else self.detail * likeness)

    def single(self) -> list[Codes]:
        """One `Codes` for every picture."""
        details = [None] * len(self.w_plus) if self.detail is None else list(torch.split(self.detail, 1))
        return [Codes(w, d) for w, d in zip(torch.split(self.w_plus, 1), details, strict=True)]
