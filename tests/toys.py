"""Toys that many tests share: tiny random networks, references to learn from, a drawn face; scripts as modules; the program."""

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mien.checkpoint.model_file import write_model
from mien.faces.config import AlignConfig
from mien.latents import broadcast, style_layers
from mien.media.images import from_tensor, write_image
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.models.model import Model
from mien.oneshot.config import OneShotConfig
from mien.pipeline import Stylizer

R = 64
_EYES, EYE_DISTANCE = ((0.375, 0.472), (0.625, 0.472)), 0.25  # of the side


def tiny(resolution: int = 32, clamp: float | None = None) -> Generator:
    g = Generator(
        GeneratorConfig(resolution, z_dim=16, w_dim=16, mapping_layers=2, channel_base=1024, channel_max=8, conv_clamp=clamp)
    )
    with torch.no_grad():
        for layer in style_layers(resolution):
            module = g.synthesis.layer(layer.name)
            module.bias.normal_()
            if layer.kind != "rgb":
                module.noise_strength.fill_(0.3)
    return g


def tiny_discriminator(resolution: int = 32, clamp: float | None = None) -> Discriminator:
    return Discriminator(DiscriminatorConfig(resolution, channel_base=1024, channel_max=8, conv_clamp=clamp))


def setting(count: int = 1) -> tuple:
    g, d = tiny(R).requires_grad_(False), tiny_discriminator(R).requires_grad_(False)
    images = torch.randn(count, 3, R, R).clamp(-1, 1)
    with torch.no_grad():
        w_plus = broadcast(g.mapping(torch.randn(count, 16)), g.num_ws).clone()
    return g, d, images, w_plus


def left_half() -> torch.Tensor:
    """Valid parts [1, 1, R, R]: the left half of the image."""
    return (torch.arange(R) < R // 2).float().expand(1, 1, R, R).contiguous()


def face(
    look: tuple[float, float] = (0.0, 0.0), opened: float = 0.0, wide: float = 0.8, smile: float = 0.0, side: int = 128,
    iris: str = "#204060",
) -> Tensor:  # fmt: skip
    """A drawn face [3, side, side] in the FFHQ frame; lengths are in units of the distance between the eyes."""
    big = 1024
    image = Image.new("RGB", (big, big), "#90a0b0")
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, across: float, down: float, color: str) -> None:
        draw.ellipse([(x - across) * big, (y - down) * big, (x + across) * big, (y + down) * big], fill=color)

    ellipse(0.5, 0.42, 0.36, 0.4, "#503020")
    ellipse(0.5, 0.56, 0.27, 0.37, "#e0b090")
    for x, y in _EYES:
        eye = Image.new("RGB", (big, big), "#f4f4f0")
        at = ((x + look[0] * EYE_DISTANCE) * big, (y + look[1] * EYE_DISTANCE) * big)
        ImageDraw.Draw(eye).ellipse([at[0] - 26, at[1] - 26, at[0] + 26, at[1] + 26], fill=iris)
        ImageDraw.Draw(eye).ellipse([at[0] - 11, at[1] - 11, at[0] + 11, at[1] + 11], fill="#101010")
        opening = Image.new("L", (big, big))
        ImageDraw.Draw(opening).ellipse([x * big - 62, y * big - 30, x * big + 62, y * big + 30], fill=255)
        ellipse(x, y, 66 / big, 36 / big, "#604030")
        image.paste(eye, mask=opening)
        draw.line([(x - 0.07) * big, 0.4 * big, (x + 0.07) * big, 0.4 * big], fill="#503020", width=18)
    draw.line([(0.5 * big, 0.5 * big), (0.53 * big, 0.62 * big), (0.48 * big, 0.63 * big)], fill="#b08060", width=10)
    half, mouth = wide * EYE_DISTANCE / 2, 0.745
    curve = [(0.5 + t * half, mouth + smile * EYE_DISTANCE * (1 - t * t)) for t in torch.linspace(-1, 1, 41).tolist()]
    inside = opened * EYE_DISTANCE / 2
    upper = [(x * big, (y - inside * (1 - ((x - 0.5) / half) ** 2)) * big) for x, y in curve]
    lower = [(x * big, (y + inside * (1 - ((x - 0.5) / half) ** 2)) * big) for x, y in curve]
    draw.polygon([*((x, y - 14) for x, y in upper), *((x, y + 18) for x, y in reversed(lower))], fill="#c05050")
    draw.polygon([*upper, *reversed(lower)], fill="#301010")
    draw.line(upper, fill="#602020", width=8)
    return to_tensor(image.resize((side, side), Image.Resampling.BOX))


def to_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


@functools.cache
def program() -> Any:
    """Typer's own object for the whole command line: building it anew for every verb would take a third of a second."""
    import typer

    from mien.cli.app import build

    return typer.main.get_command(build())


def script(path: Path) -> ModuleType:
    """A Python file that is in no package, as a module of its name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def toy_model_file(path: Path) -> Path:
    """A random model of 32 px with an encoder, in a file."""
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactEncoderConfig(32, num_ws=8, w_dim=16, width=8, max_width=16))
    with torch.no_grad():
        encoder.out.weight.mul_(10)
    write_model(path, Model(tiny(32), tiny_discriminator(32), encoder))
    return path


def toy_batch(folder: Path, photos: int) -> Path:
    """`model.safetensors`, a style of it `toy.safetensors`, `photos/1.png` to so many, and `photos/broken.jpg`."""
    pipe = Stylizer.load(toy_model_file(folder / "model.safetensors"))
    torch.manual_seed(3)
    for number in range(photos + 1):
        smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6) * 2 - 1, (96, 96), mode="bicubic").clamp(-1, 1)[0]
        write_image(folder / (f"photos/{number}.png" if number else "reference.png"), from_tensor(smooth))
    (folder / "photos" / "broken.jpg").write_bytes(b"")
    config = OneShotConfig(steps=2, random_from="32px")
    style = pipe.fit(folder / "reference.png", config, align=AlignConfig(aligned=True))
    style.save(folder / "toy.safetensors")
    return folder
