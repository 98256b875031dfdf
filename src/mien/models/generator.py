"""The StyleGAN2 generator: mapping network and synthesis network, resolution-free, with the S space as a first-class thing.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020): skip-RGB synthesis, modulated convolutions.
Parameter names follow NVIDIA's vocabulary; shapes do not depend on any convention of a file format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from mien.latents import StyleCodes, num_ws, resolutions, style_layers
from mien.models.layers import ACT_GAIN, EqualLinear, channels_at
from mien.ops import bias_act, modulated_conv2d, upsample2

Noise = Sequence[Tensor | None]
NoiseMode = Literal["const", "random", "none"]


@dataclass(frozen=True)
class GeneratorConfig:
    """The shape of a generator."""

    resolution: Annotated[int, "side of the image in pixels, a power of two from 8"]
    z_dim: Annotated[int, "length of the Gaussian input"] = 512
    w_dim: Annotated[int, "length of a mapped code"] = 512
    mapping_layers: Annotated[int, "fully connected layers of the mapping network"] = 8
    mapping_lr_multiplier: Annotated[float, "learning rate of the mapping network relative to the rest"] = 0.01
    channel_base: Annotated[int, "a block of R pixels has min(channel_max, channel_base / R) channels"] = 32768
    channel_max: Annotated[int, "maximum channels of any block"] = 512
    conv_clamp: Annotated[float | None, "activations are clamped to +-this; None: never"] = None

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution must be a power of two from 8, got {self.resolution}")

    @property
    def num_ws(self) -> int:
        """Rows of a W+ code."""
        return num_ws(self.resolution)

    def channels(self, resolution: int) -> int:
        """Width of the block of the given size."""
        return channels_at(resolution, self.channel_base, self.channel_max)


class MappingNetwork(nn.Module):
    """z [N, z_dim] -> w [N, w_dim]; `w_avg` [w_dim] is the mean code, kept by the trainer or the checkpoint."""

    w_avg: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        sizes = [config.z_dim] + [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            EqualLinear(i, o, lr_multiplier=config.mapping_lr_multiplier, activate=True) for i, o in pairwise(sizes)
        )
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Tensor) -> Tensor:
        x = z.float()
        x = x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            x = layer(x)
        return x


class ModulatedConv(nn.Module):
    """One modulated layer: affine (w -> style), weight, bias and, unless it is a toRGB, noise."""

    noise_const: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        config: GeneratorConfig,
        *,
        resolution: int,
        up: bool = False,
        rgb: bool = False,
    ) -> None:
        super().__init__()
        self.up, self.rgb, self.clamp = up, rgb, config.conv_clamp
        self.affine = EqualLinear(config.w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if not rgb:
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        weight = self.weight * (1 / math.sqrt(self.weight[0].numel()))
        if self.rgb:
            x = modulated_conv2d(x, weight, style, demodulate=False)
            return bias_act(x, self.bias, clamp=self.clamp, linear=True)
        # The gain is folded into the small tensors: leaky ReLU is positively homogeneous.
        x = modulated_conv2d(x, weight, style, up=self.up, gain=ACT_GAIN)
        noise = None if noise is None else noise * (self.noise_strength * ACT_GAIN)
        return bias_act(x, self.bias * ACT_GAIN, noise=noise, clamp=self.clamp)


class SynthesisBlock(nn.Module):
    """All layers of one resolution: `x, img = block(x, img, styles, noise)`; the 4 px block starts from a learned constant."""

    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        channels = config.channels(resolution)
        self.resolution = resolution
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(channels, 4, 4))
        else:
            self.conv0 = ModulatedConv(config.channels(resolution // 2), channels, 3, config, resolution=resolution, up=True)
        self.conv1 = ModulatedConv(channels, channels, 3, config, resolution=resolution)
        self.torgb = ModulatedConv(channels, 3, 1, config, resolution=resolution, rgb=True)

    def features(self, x: Tensor, styles: StyleCodes, noise: Noise, feature_code: Tensor | None = None) -> Tensor:
        """The block's feature map [N, C, R, R] from the one below it (for 4 px: from the constant, given by `start`).

        `feature_code` of the same shape is added to it; one of another size belongs to another block.
        """
        r = self.resolution
        if r > 4:
            x = self.conv0(x, styles[f"{r}up"], noise[0])
        out: Tensor = self.conv1(x, styles[f"{r}conv"], noise[-1])
        return out if feature_code is None or feature_code.shape[-1] != r else out + feature_code.to(out.dtype)

    def rgb(self, x: Tensor, img: Tensor | None, styles: StyleCodes) -> Tensor:
        """Add this block's image to the up-sampled image of the blocks below; float32."""
        rgb: Tensor = self.torgb(x, styles[f"{self.resolution}rgb"]).float()
        return rgb if img is None else upsample2(img) + rgb

    def start(self, batch: int, dtype: torch.dtype) -> Tensor:
        """The learned constant for a batch, channels last."""
        x = self.const.to(dtype)[None].expand(batch, -1, -1, -1)
        return x.contiguous(memory_format=torch.channels_last)

    def forward(
        self, x: Tensor, img: Tensor | None, styles: StyleCodes, noise: Noise, feature_code: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self.features(x, styles, noise, feature_code)
        return x, self.rgb(x, img, styles)


class SynthesisNetwork(nn.Module):
    """Style codes and noise -> image [N, 3, R, R] in [-1, 1] (not clipped)."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.resolutions = resolutions(config.resolution)
        for r in self.resolutions:
            self.add_module(f"b{r}", SynthesisBlock(config, r))

    def block(self, resolution: int) -> SynthesisBlock:
        """The block of the given size."""
        return self.get_submodule(f"b{resolution}")  # type: ignore[return-value]

    def layer(self, name: str) -> ModulatedConv:
        """The modulated layer of the given S name, such as `64up`."""
        kind = name.lstrip("0123456789")
        module = {"up": "conv0", "conv": "conv1", "rgb": "torgb"}[kind]
        return self.get_submodule(f"b{name.removesuffix(kind)}.{module}")  # type: ignore[return-value]

    def styles(self, w_plus: Tensor) -> StyleCodes:
        """W+ codes [N, num_ws, w_dim] -> S codes (the outputs of all affine layers)."""
        expected = [self.config.num_ws, self.config.w_dim]
        if list(w_plus.shape[1:]) != expected:
            got, size = list(w_plus.shape), self.config.resolution
            raise ValueError(f"w_plus must be [N, {expected[0]}, {expected[1]}], got {got}: this model is {size} px")
        layers = style_layers(self.config.resolution)
        return StyleCodes({layer.name: self.layer(layer.name).affine(w_plus[:, layer.row]) for layer in layers})

    def noise(self, mode: NoiseMode, batch: int = 1, generator: torch.Generator | None = None) -> list[Tensor | None]:
        """Noise for one rendering, a map per convolution (2 * log2(R) - 3 of them).

        `const`: the stored maps; `none`: no noise; `random`: fresh maps [batch, 1, R, R] drawn from `generator`.
        """
        maps: list[Tensor | None] = []
        for layer in style_layers(self.config.resolution):
            if layer.kind == "rgb":
                continue
            stored = self.layer(layer.name).noise_const
            if mode == "none":
                maps.append(None)
            elif mode == "const":
                maps.append(stored)
            elif generator is None:
                raise ValueError("noise 'random' needs a torch.Generator: nothing here draws hidden random numbers")
            else:
                fresh = torch.randn(batch, 1, *stored.shape, generator=generator, device=generator.device)
                maps.append(fresh.to(stored.device))
        return maps

    def blocks(self, noise: Noise) -> list[tuple[SynthesisBlock, Noise]]:
        """Every block, lowest resolution first, with the noise maps that belong to it."""
        if len(noise) != 2 * len(self.resolutions) - 1:
            raise ValueError(f"noise must have {2 * len(self.resolutions) - 1} maps (None for no noise), got {len(noise)}")
        pairs = [noise[:1]] + [noise[i : i + 2] for i in range(1, len(noise), 2)]
        return [(self.block(r), pair) for r, pair in zip(self.resolutions, pairs, strict=True)]

    def synthesize(
        self, styles: StyleCodes, noise: Noise, dtype: torch.dtype = torch.float32, feature_code: Tensor | None = None
    ) -> Tensor:
        """The image [N, 3, R, R] for the given codes; convolutions run in `dtype`, the image is float32.

        `feature_code` [N, C, r, r] is added to the feature map of its size: what of a real image the codes cannot say (the F of
        F/W+ space: Kang et al. 2021, "GAN Inversion for Out-of-Range Images with Geometric Transformations").
        """
        x: Tensor = self.block(4).start(styles.batch, dtype)
        img: Tensor | None = None
        for block, maps in self.blocks(noise):
            x, img = block(x, img, styles, maps, feature_code)
        assert img is not None
        return img

    def features(
        self, styles: StyleCodes, noise: Noise, resolutions: Sequence[int], dtype: torch.dtype = torch.float32
    ) -> dict[int, Tensor]:
        """Feature maps {resolution: [N, C, r, r]} of the given blocks; nothing above the largest is computed."""
        x, found = self.block(4).start(styles.batch, dtype), {}
        for block, maps in self.blocks(noise):
            if block.resolution > max(resolutions):
                break
            x = block.features(x, styles, maps)
            if block.resolution in resolutions:
                found[block.resolution] = x
        return found


class Generator(nn.Module):
    """Mapping and synthesis of one model."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)

    @property
    def num_ws(self) -> int:
        """Rows of a W+ code."""
        return self.config.num_ws

    def forward(
        self, w_plus: Tensor, noise: Noise, dtype: torch.dtype = torch.float32, feature_code: Tensor | None = None
    ) -> Tensor:
        """W+ codes [N, num_ws, w_dim], noise and a feature code where there is one -> image [N, 3, R, R]."""
        return self.synthesis.synthesize(self.synthesis.styles(w_plus), noise, dtype, feature_code)
