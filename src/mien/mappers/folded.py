"""A synthesis network made ready to render many frames: whatever does not depend on the code is worked out once.

Codes scale activations rather than weights, so that a batch shares its weights, and engines that compile a graph can lay them
out. `SynthesisNetwork.synthesize` is the reference.

Strengths between 0 and 1 interpolate the *weights* of the base and the tuned network (as Wang et al. 2019, "Deep Network
Interpolation", do), so that a frame costs the same at every strength. `Stylizer.apply` interpolates their features, with both
networks at once; at 0 and 1 the two are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.latents import style_layers
from mien.models.generator import ModulatedConv, SynthesisBlock, SynthesisNetwork
from mien.models.layers import ACT_GAIN
from mien.ops.bias_act import SLOPE
from mien.ops.fir_methods import depthwise
from mien.ops.low_pass import SIZE, kernel
from mien.ops.modulated_conv import EPS


@dataclass(frozen=True)
class LayerWeights:
    """A modulated layer at one strength; learning-rate scales and the activation's gain are in its numbers."""

    affine: Tensor
    affine_bias: Tensor
    weight: Tensor
    bias: Tensor
    energy: Tensor | None
    """Squared weights [I, O], summed over the kernel, for the demodulation; None for toRGB."""
    noise: Tensor | None


class FoldedLayer(nn.Module):
    """One modulated convolution with what follows it: features [N, I, H, W] and codes [N, w_dim] -> features."""

    low_pass: Tensor
    noise_map: Tensor

    def __init__(self, base: ModulatedConv, tuned: ModulatedConv) -> None:
        super().__init__()
        self.up, self.rgb, self.clamp, self.outputs = base.up, base.rgb, base.clamp, len(base.bias)
        self.register_buffer("low_pass", kernel(base.weight, 4.0).expand(self.outputs, 1, SIZE, SIZE), persistent=False)
        with torch.no_grad():
            changed = _folded(tuned)
            for name, value in _folded(base).items():
                self.register_buffer(name, value.clone(), persistent=False)
                # What fine-tuning left alone has no difference to be added.
                difference = None if torch.equal(changed[name], value) else changed[name] - value
                self.register_buffer(f"{name}_difference", difference, persistent=False)

    def at(self, strength: float | Tensor, dtype: torch.dtype = torch.float32) -> LayerWeights:
        """The layer at a strength, its convolution in `dtype`."""

        def value(name: str) -> Tensor:
            start, difference = getattr(self, name), getattr(self, f"{name}_difference")
            result: Tensor = start if difference is None else start + strength * difference
            return result

        weight, energy, noise = value("weight"), None, None
        if not self.rgb:
            energy = weight.square().sum(dim=(2, 3)).t() * (1 / ACT_GAIN**2)
            noise = (self.noise_map * value("noise_strength")).to(dtype)
        weight = weight.transpose(0, 1) if self.up else weight
        weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        bias = value("bias").reshape(1, -1, 1, 1).to(dtype)
        return LayerWeights(value("affine"), value("affine_bias"), weight, bias, energy, noise)

    def forward(self, x: Tensor, code: Tensor, own: LayerWeights) -> Tensor:
        style = F.linear(code, own.affine, own.affine_bias)
        x = x * style.to(x.dtype)[:, :, None, None]
        if own.energy is None or own.noise is None:
            return self._clamped(F.conv2d(x, own.weight) + own.bias)
        if self.up:
            x = F.conv_transpose2d(x, own.weight, stride=2)
            x = F.conv2d(x, self.low_pass.to(x.dtype), padding=1, groups=self.outputs)
        else:
            x = F.conv2d(x, own.weight, padding=1)
        scale = (style.square() @ own.energy + EPS).rsqrt().to(x.dtype)[:, :, None, None]
        return self._clamped(F.leaky_relu(torch.addcmul(own.bias, x, scale) + own.noise, SLOPE))

    def _clamped(self, x: Tensor) -> Tensor:
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def _folded(layer: ModulatedConv) -> dict[str, Tensor]:
    """The numbers of a layer, scales and gain multiplied into them."""
    gain = 1.0 if layer.rgb else ACT_GAIN
    found = {
        "weight": layer.weight * (gain / math.sqrt(layer.weight[0].numel())),
        "bias": layer.bias * gain,
        "affine": layer.affine.weight * (layer.affine.lr_multiplier / math.sqrt(layer.affine.weight.shape[1])),
        "affine_bias": layer.affine.bias * layer.affine.lr_multiplier,
    }
    if not layer.rgb:
        found |= {"noise_strength": layer.noise_strength * gain, "noise_map": layer.noise_const[None, None]}
    return {name: value.detach() for name, value in found.items()}


class FoldedBlock(nn.Module):
    """All layers of one resolution; see `SynthesisBlock`."""

    def __init__(self, base: SynthesisBlock, tuned: SynthesisBlock) -> None:
        super().__init__()
        self.resolution = r = base.resolution
        self.rows = {layer.kind: layer.row for layer in style_layers(r) if layer.resolution == r}
        if r > 4:
            self.up = FoldedLayer(base.conv0, tuned.conv0)
        self.conv = FoldedLayer(base.conv1, tuned.conv1)
        self.to_rgb = FoldedLayer(base.torgb, tuned.torgb)

    def forward(
        self, x: Tensor, image: Tensor | None, w_plus: Tensor, feature_code: Tensor | None, weights: Iterator[LayerWeights]
    ) -> tuple[Tensor, Tensor]:
        if self.resolution > 4:
            x = self.up(x, w_plus[:, self.rows["up"]], next(weights))
        x = self.conv(x, w_plus[:, self.rows["conv"]], next(weights))
        if feature_code is not None and feature_code.shape[-1] == self.resolution:
            x = x + feature_code.to(x.dtype)
        rgb: Tensor = self.to_rgb(x, w_plus[:, self.rows["rgb"]], next(weights)).float()
        return x, rgb if image is None else depthwise(image, 2, 1, (2, 1), (2, 1), 4.0) + rgb


class FoldedSynthesis(nn.Module):
    """W+ codes [N, num_ws, w_dim] and feature codes, or None, -> images [N, 3, R, R] with the stored noise."""

    const: Tensor
    const_difference: Tensor

    def __init__(self, base: SynthesisNetwork, tuned: SynthesisNetwork) -> None:
        super().__init__()
        start, end = (network.block(4).const.detach() for network in (base, tuned))
        self.register_buffer("const", start[None].clone(), persistent=False)
        self.register_buffer("const_difference", (end - start)[None], persistent=False)
        self.blocks = nn.ModuleList(FoldedBlock(base.block(r), tuned.block(r)) for r in base.resolutions)

    def at(self, strength: float | Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, list[LayerWeights]]:
        """All that depends on the strength and on nothing else: the first features, and every layer in its order."""
        layers = [part for part in self.modules() if isinstance(part, FoldedLayer)]
        start = self.const + strength * self.const_difference
        return start.to(dtype), [layer.at(strength, dtype) for layer in layers]

    def forward(self, w_plus: Tensor, feature_code: Tensor | None, at: tuple[Tensor, list[LayerWeights]]) -> Tensor:
        x, weights, image = at[0].expand(w_plus.shape[0], -1, -1, -1), iter(at[1]), None
        x = x.contiguous(memory_format=torch.channels_last)
        for part in self.blocks:
            block: FoldedBlock = part  # type: ignore[assignment]
            x, image = block(x, image, w_plus, feature_code, weights)
        assert isinstance(image, Tensor)
        return image
