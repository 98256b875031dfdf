"""Who is who: a person who comes back, after a cut or from behind another, is known again by the face."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.face_networks import read_identity_network
from mien.models.identity import IdentityNetwork

_SAME = 0.6  # cosine from which two faces are taken for one person's
_NEWEST = 0.1  # share of the newest look in what is remembered


@dataclass
class People:
    """Everybody who was seen, in the order of their numbers from 1."""

    network: IdentityNetwork = field(default_factory=read_identity_network)
    _known: list[Tensor] = field(default_factory=list)

    def number_of(self, crop: Tensor, taken: Collection[int] = ()) -> int:
        """The number of the person in an FFHQ crop [1, 3, s, s] in [-1, 1]; a new one for somebody who is not known.

        `taken` are the numbers of people who are elsewhere in the image.
        """
        face = self.network.embed_crop(crop)
        likeness = {n: float(F.cosine_similarity(face, known)) for n, known in enumerate(self._known, 1) if n not in taken}
        best = max(likeness, key=lambda n: likeness[n], default=0)
        if not best or likeness[best] < _SAME:
            self._known.append(face)
            return len(self._known)
        self.look_again(best, crop)
        return best

    def look_again(self, number: int, crop: Tensor) -> None:
        """Remember how a known person looks now."""
        self._known[number - 1] = F.normalize(self._known[number - 1].lerp(self.network.embed_crop(crop), _NEWEST), dim=1)
