"""A synthesis network made ready to render many frames: whatever does not depend on the code is worked out once.

The learning-rate scale of the weights, the gain of the activation, the energy of the weights (for the demodulation) and the
noise maps become constants. Codes scale activations rather than weights, so that the weights stay as they are for every batch,
which engines that compile a graph need to lay them out. `SynthesisNetwork.render` is the reference.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.latents import style_layers
from mien.models.generator import ModulatedConv, SynthesisBlock, SynthesisNetwork
from mien.models.layers import ACT_GAIN
from mien.ops.bias_act import SLOPE
from mien.ops.fir_methods import depthwise
from mien.ops.modulated_conv import EPS


class FoldedLayer(nn.Module):
    """One modulated convolution with what follows it: features [N, I, H, W] and codes [N, w_dim] -> features."""

    affine: Tensor
    affine_bias: Tensor
    weight: Tensor
    bias: Tensor
    energy: Tensor
    noise: Tensor

    def __init__(self, layer: ModulatedConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.up, self.rgb, self.clamp = layer.up, layer.rgb, layer.clamp
        gain = 1.0 if layer.rgb else ACT_GAIN
        with torch.no_grad():
            weight = layer.weight * (1 / math.sqrt(layer.weight[0].numel()))
            self._keep("affine", layer.affine.weight * (layer.affine.lr_multiplier / math.sqrt(layer.affine.weight.shape[1])))
            self._keep("affine_bias", layer.affine.bias * layer.affine.lr_multiplier)
            self._keep("bias", (layer.bias * gain).reshape(1, -1, 1, 1).to(dtype))
            if not layer.rgb:
                self._keep("energy", weight.square().sum(dim=(2, 3)))
                self._keep("noise", (layer.noise_const * (layer.noise_strength * gain))[None, None].to(dtype))
            weight = weight.transpose(0, 1) if layer.up else weight
            self._keep("weight", (weight * gain).to(dtype).contiguous(memory_format=torch.channels_last))

    def _keep(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value.detach().clone(memory_format=torch.preserve_format), persistent=False)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        style = F.linear(code, self.affine, self.affine_bias)
        x = x * style.to(x.dtype)[:, :, None, None]
        if self.rgb:
            return self._clamped(F.conv2d(x, self.weight) + self.bias)
        if self.up:
            x = depthwise(F.conv_transpose2d(x, self.weight, stride=2), 1, 1, (1, 1), (1, 1), 4.0)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        scale = (style.square() @ self.energy.t() + EPS).rsqrt().to(x.dtype)[:, :, None, None]
        return self._clamped(F.leaky_relu(torch.addcmul(self.bias, x, scale) + self.noise, SLOPE))

    def _clamped(self, x: Tensor) -> Tensor:
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class FoldedBlock(nn.Module):
    """All layers of one resolution; see `SynthesisBlock`."""

    def __init__(self, block: SynthesisBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.resolution = r = block.resolution
        self.rows = {layer.kind: layer.row for layer in style_layers(r) if layer.resolution == r}
        self.up = FoldedLayer(block.conv0, dtype) if r > 4 else None
        self.conv = FoldedLayer(block.conv1, dtype)
        self.to_rgb = FoldedLayer(block.torgb, dtype)

    def features(self, x: Tensor, w_plus: Tensor, detail: Tensor | None) -> Tensor:
        """The block's feature map, with the feature code of its size added to it."""
        if self.up is not None:
            x = self.up(x, w_plus[:, self.rows["up"]])
        out: Tensor = self.conv(x, w_plus[:, self.rows["conv"]])
        return out if detail is None or detail.shape[-1] != self.resolution else out + detail.to(out.dtype)

    def rgb(self, x: Tensor, w_plus: Tensor) -> Tensor:
        """The block's own picture, float32."""
        picture: Tensor = self.to_rgb(x, w_plus[:, self.rows["rgb"]])
        return picture.float()


class FoldedSynthesis(nn.Module):
    """W+ codes [N, num_ws, w_dim] and a feature code, or None, -> pictures [N, 3, R, R] with the stored noise."""

    const: Tensor

    def __init__(self, network: SynthesisNetwork, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        blocks = [network.block(r) for r in network.resolutions]
        self.register_buffer("const", blocks[0].const.detach().to(dtype)[None].clone(), persistent=False)
        self.blocks = nn.ModuleList(FoldedBlock(block, dtype) for block in blocks)

    def start(self, w_plus: Tensor) -> Tensor:
        """The learned constant, once for every code."""
        x = self.const.expand(w_plus.shape[0], -1, -1, -1)
        return x.contiguous(memory_format=torch.channels_last)

    def forward(self, w_plus: Tensor, detail: Tensor | None = None) -> Tensor:
        x, picture = self.start(w_plus), None
        for block in self.blocks:
            assert isinstance(block, FoldedBlock)
            x = block.features(x, w_plus, detail)
            picture = _onto(picture, block.rgb(x, w_plus))
        assert picture is not None
        return picture


class FoldedBetween(nn.Module):
    """Two folded networks at once: features `strength` of the way from one to the other, as `render_between` mixes them."""

    def __init__(self, base: FoldedSynthesis, tuned: FoldedSynthesis) -> None:
        super().__init__()
        self.base, self.tuned = base, tuned

    def forward(self, w_plus: Tensor, detail: Tensor | None, strength: float | Tensor) -> Tensor:
        lower_x, x, picture = self.base.start(w_plus), self.tuned.start(w_plus), None
        for lower, upper in zip(self.base.blocks, self.tuned.blocks, strict=True):
            assert isinstance(lower, FoldedBlock)
            assert isinstance(upper, FoldedBlock)
            lower_x = lower.features(lower_x, w_plus, detail)
            x = lower_x + strength * (upper.features(x, w_plus, detail) - lower_x)
            lower_rgb = lower.rgb(lower_x, w_plus)
            picture = _onto(picture, lower_rgb + strength * (upper.rgb(x, w_plus) - lower_rgb))
        assert picture is not None
        return picture


def _onto(picture: Tensor | None, rgb: Tensor) -> Tensor:
    return rgb if picture is None else depthwise(picture, 2, 1, (2, 1), (2, 1), 4.0) + rgb
