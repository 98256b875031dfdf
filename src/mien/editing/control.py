"""Feature control: which parts of a face stay the person's own, and which take the reference's shape.

While a style is learned it is the virtual inverter of JoJoGAN, section 5.1: the reference's code is blended with the mean code,
channel by channel. Where the code is the reference's own, its odd eyes are taken for its own eyes, and the style leaves the
eyes of others alone; where it is the mean face's, the style learns to turn usual eyes into those, and so everybody's.

On a finished style the same is done to what it draws: a part that is kept has the base model's features up to 32 px, so that
its shape is the person's and its line and color the style's; for a part that is exaggerated the person's code goes towards the
reference's, as RIS transfers features (Chong et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint.regions_file import Regions
from mien.editing.config import Control
from mien.editing.regions import region_maps
from mien.errors import InputError
from mien.latents import RandomLayers, StyleCodes, blend_styles, style_layers, wholly_random
from mien.models.generator import Noise, SynthesisNetwork

_POSE_BELOW = 16  # px


def controlled_layers(resolution: int) -> frozenset[str]:
    """The S layers that parts of the face are steered in: not those of 4 and 8 px, which turn and place the whole head."""
    return frozenset(layer.name for layer in style_layers(resolution) if layer.resolution >= _POSE_BELOW)


def virtual_inversion(
    regions: Regions, control: Control, reference: StyleCodes, mean: StyleCodes, resolution: int
) -> StyleCodes:
    """The code to learn from: `reference` in channels whose parts stay the person's, `mean` where they are exaggerated.

    Without `keep` the parts that are not named stay with the reference's code; beside it they go to the mean. The layers below
    16 px, which hold the pose, are always the reference's.
    """
    shares = {name: control.keep.get(name, 0.0) if control.keep else 1.0 for name in regions.names}
    shares |= {name: 1.0 - amount for name, amount in control.exaggerate.items()}
    weights, steered = regions.weights(shares), controlled_layers(resolution)
    return blend_styles(mean, reference, {n: w if n in steered else torch.ones_like(w) for n, w in weights.items()})


def feature_masks(regions: Regions, names: Sequence[str], resolution: int) -> dict[str, dict[str, Tensor]]:
    """{part: {S layer: [channels] bool}}: the channels to be random in a mask by parts; none of those that hold the pose."""
    steered = controlled_layers(resolution)
    return {name: {layer: mask & (layer in steered) for layer, mask in regions.channels(name).items()} for name in names}


@dataclass(frozen=True)
class Steering:
    """A `Control` on a finished style."""

    regions: Regions
    control: Control
    reference: Tensor | None = None
    """Codes of the style's references, [M, num_ws, w_dim]: needed where something is exaggerated."""

    def steer(self, tuned: SynthesisNetwork, styles: StyleCodes) -> StyleCodes:
        """The person's S codes [1], gone towards the reference's in the channels of the parts that are exaggerated."""
        if not self.control.exaggerate or self.reference is None:
            return styles
        goal = tuned.styles(self.reference.to(next(tuned.parameters()).device)).map(lambda s: s.mean(dim=0, keepdim=True))
        weights, steered = self.regions.weights(self.control.exaggerate), controlled_layers(tuned.config.resolution)
        return blend_styles(styles, goal, {name: w for name, w in weights.items() if name in steered})

    def kept(self, base: SynthesisNetwork, styles: StyleCodes, noise: Noise, dtype: torch.dtype) -> Tensor | None:
        """[1, 1, h, w] in [0, 1]: where the person's own shape stays; None where it need not anywhere."""
        if not self.control.keep:
            return None
        features = base.features(styles, noise, (self.regions.size,), dtype)[self.regions.size]
        amounts = torch.tensor([self.control.keep.get(name, 0.0) for name in self.regions.names], device=features.device)
        where = (region_maps(self.regions, features) * amounts[:, None, None]).sum(dim=1, keepdim=True)
        # Wider by a pixel of the map, then soft: a part's border belongs to it.
        return F.avg_pool2d(F.max_pool2d(where, 3, 1, 1), 3, 1, 1, count_include_pad=False)


@torch.no_grad()
def virtual_codes(
    network: SynthesisNetwork, regions: Regions, control: Control, w_plus: Tensor, mean: Tensor, layers: RandomLayers
) -> StyleCodes:
    """The virtual inversion of references `w_plus` [N, num_ws, w_dim], beside as many mean codes, to learn a style from.

    Raises `InputError` where the random `layers` leave no code to blend.
    """
    resolution = network.resolutions[-1]
    if all(wholly_random(layers, name) for name in controlled_layers(resolution)):
        raise InputError("The mask leaves no code for `keep` and `exaggerate` to blend: set `random_from` to 64px, say.")
    return virtual_inversion(regions, control, network.styles(w_plus), network.styles(mean), resolution)
