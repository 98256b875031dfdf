"""Which tensor of the common PyTorch format is which of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mien.latents import style_layers
from mien.models.discriminator import DiscriminatorConfig
from mien.models.generator import GeneratorConfig


@dataclass(frozen=True)
class Entry:
    """One tensor: our name, theirs, and the dimensions of length 1 that theirs has and ours has not."""

    ours: str
    theirs: str
    extra: tuple[int, ...] = ()


def generator_entries(config: GeneratorConfig) -> Iterator[Entry]:
    """Every tensor of a generator but its mean code and its filters."""
    for i in range(config.mapping_layers):
        for part in ("weight", "bias"):
            yield Entry(f"mapping.layers.{i}.{part}", f"style.{i + 1}.{part}")
    yield Entry("synthesis.b4.const", "input.input", (0,))
    convolution, noise = 0, 0
    for layer in style_layers(config.resolution):
        r, kind = layer.resolution, layer.kind
        ours = f"synthesis.b{r}.{ {'up': 'conv0', 'conv': 'conv1', 'rgb': 'torgb'}[kind] }"
        k = r.bit_length() - 4  # 0 for 8 px
        if kind == "rgb":
            theirs = "to_rgb1" if r == 4 else f"to_rgbs.{k}"
            yield Entry(f"{ours}.bias", f"{theirs}.bias", (0, 2, 3))
        else:
            theirs = "conv1" if r == 4 else f"convs.{convolution}"
            convolution += r > 4
            yield Entry(f"{ours}.bias", f"{theirs}.activate.bias")
            yield Entry(f"{ours}.noise_strength", f"{theirs}.noise.weight", (0,))
            yield Entry(f"{ours}.noise_const", f"noises.noise_{noise}", (0, 1))
            noise += 1
        yield Entry(f"{ours}.weight", f"{theirs}.conv.weight", (0,))
        yield Entry(f"{ours}.affine.weight", f"{theirs}.conv.modulation.weight")
        yield Entry(f"{ours}.affine.bias", f"{theirs}.conv.modulation.bias")


def generator_filters(config: GeneratorConfig) -> list[str]:
    """Where a generator of this format repeats the low-pass filter."""
    blocks = len(style_layers(config.resolution)) // 3
    return [f"convs.{2 * k}.conv.blur.kernel" for k in range(blocks)] + [f"to_rgbs.{k}.upsample.kernel" for k in range(blocks)]


def discriminator_entries(config: DiscriminatorConfig) -> Iterator[Entry]:
    """Every tensor of a discriminator but its filters."""
    yield Entry("fromrgb.conv.weight", "convs.0.0.weight")
    yield Entry("fromrgb.conv.bias", "convs.0.1.bias")
    for i in range(1, config.resolution.bit_length() - 2):
        ours, theirs = f"b{config.resolution >> (i - 1)}", f"convs.{i}"
        yield Entry(f"{ours}.conv0.weight", f"{theirs}.conv1.0.weight")
        yield Entry(f"{ours}.conv0.bias", f"{theirs}.conv1.1.bias")
        yield Entry(f"{ours}.conv1.weight", f"{theirs}.conv2.1.weight")
        yield Entry(f"{ours}.conv1.bias", f"{theirs}.conv2.2.bias")
        yield Entry(f"{ours}.skip.weight", f"{theirs}.skip.1.weight")
    yield Entry("b4.conv.weight", "final_conv.0.weight")
    yield Entry("b4.conv.bias", "final_conv.1.bias")
    for ours, theirs in (("b4.fc", "final_linear.0"), ("b4.out", "final_linear.1")):
        yield Entry(f"{ours}.weight", f"{theirs}.weight")
        yield Entry(f"{ours}.bias", f"{theirs}.bias")


def discriminator_filters(config: DiscriminatorConfig) -> list[str]:
    """Where a discriminator of this format repeats the low-pass filter."""
    blocks = range(1, config.resolution.bit_length() - 2)
    return [f"convs.{i}.{part}.0.kernel" for i in blocks for part in ("conv2", "skip")]
