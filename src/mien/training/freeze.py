"""Plans: what of a generator and a discriminator is trained, and what a fine-tuning keeps of its source.

FreezeD (Mo et al. 2020): the discriminator's highest-resolution blocks keep their weights. FreezeG (Lee 2020): so do the
generator's lowest-resolution blocks. FreezeSG, structure loss: Back 2021, "Fine-Tuning StyleGAN2 for Cartoon Face Generation".
Every `freeze_*` counts *frozen* blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

from torch import nn

from mien.errors import InputError
from mien.models.discriminator import Discriminator
from mien.models.generator import Generator
from mien.training.config import Method, PlanConfig


@dataclass(frozen=True)
class Plan:
    """A `PlanConfig` worked out for two networks."""

    config: PlanConfig
    frozen_generator: tuple[str, ...]
    """Names of parameters that keep their values."""
    frozen_discriminator: tuple[str, ...]
    source_rows: int
    """W+ rows, from the first, that come from the source's mapping."""
    structure_resolutions: tuple[int, ...]
    text: str
    """The plan for people: one line each."""


def method(name: str, resolution: int) -> PlanConfig:
    """The paper's methods at `resolution`: `baseline` (FreezeD), `freeze-g`, `freeze-sg`, `structure`, each with FreezeD.

    Half of the discriminator's blocks are frozen; FreezeG and FreezeSG freeze the generator's up to 32 px (the author's
    setting), at most half of them; the structure loss takes 8, 16 and 32 px as far as they exist below the top.
    """
    if name not in get_args(Method):
        raise InputError(f"There is no method '{name}': choose one of {', '.join(get_args(Method))}.")
    blocks = resolution.bit_length() - 2  # 4 px to R
    base = PlanConfig(freeze_d=(blocks - 1) // 2)
    low = max(1, min(4, blocks // 2 + blocks % 2))
    if name == "freeze-g":
        return replace(base, freeze_g=low)
    if name == "freeze-sg":
        return replace(base, freeze_g=low, freeze_styles=low)
    if name == "structure":
        return replace(base, structure=max(1, min(3, blocks - 2)))
    return base


def make_plan(config: PlanConfig, generator: Generator, discriminator: Discriminator, *, has_source: bool) -> Plan:
    """Work out `config`; raises `InputError` where it asks for more blocks than there are, or lacks its source."""
    g_blocks, d_blocks = generator.synthesis.resolutions, discriminator.resolutions
    limits = {
        "freeze_d": len(d_blocks), "freeze_g": len(g_blocks) - 1,
        "freeze_styles": len(g_blocks), "structure": len(g_blocks) - 1,
    }  # fmt: skip
    for name, most in limits.items():
        value = getattr(config, name)
        if not 0 <= value <= most:
            raise InputError(f"{name} is {value}, but at {generator.config.resolution} px it goes from 0 to {most}.")
    if config.needs_source and not has_source:
        raise InputError("FreezeSG and structure loss compare with the model that training starts from: give source.")

    g_frozen = [f"synthesis.b{r}." for r in g_blocks[: config.freeze_g]] + ["mapping."] * config.freeze_mapping
    d_frozen = [f"b{r}." for r in d_blocks[: config.freeze_d]] + ["fromrgb."] * (config.freeze_d > 0)
    # The 4 px block has one row of its own (its toRGB shares the next block's first), every other block two.
    rows = 2 * config.freeze_styles - 1 if config.freeze_styles else 0
    compared = g_blocks[1 : 1 + config.structure]

    def sizes(found: tuple[int, ...]) -> str:
        return ", ".join(map(str, found)) + " px" if found else "none"

    names = tuple(n for n, _ in generator.named_parameters() if n.startswith(tuple(g_frozen)))
    d_names = tuple(n for n, _ in discriminator.named_parameters() if n.startswith(tuple(d_frozen)))
    codes = "the source's codes for both" if config.structure_code == "source" else "each network's own codes"
    mapping = "frozen" if config.freeze_mapping else "trained"
    lines = [
        f"generator: {generator.config.resolution} px, frozen blocks: {sizes(g_blocks[: config.freeze_g])}, mapping {mapping}",
        f"discriminator: frozen blocks: {sizes(d_blocks[: config.freeze_d])}{' and fromRGB' if d_frozen else ''}",
        f"W+ rows from the source's mapping: {f'0 to {rows - 1} of {generator.num_ws}' if rows else 'none'}",
        f"structure loss: {sizes(compared)}"
        + (f", weight {config.structure_weight:g}, on {config.structure_on}, {codes}" if compared else ""),
        f"frozen parameters: {len(names)} of the generator, {len(d_names)} of the discriminator",
    ]
    return Plan(config, names, d_names, rows, compared, "\n".join(lines))


def without_noise(generator: Generator, below: int | None = None) -> tuple[str, ...]:
    """Set the noise strengths of blocks smaller than `below` px to 0 (None: of all); returns their names."""
    sizes = [r for r in generator.synthesis.resolutions if below is None or r < below]
    prefixes = tuple(f"synthesis.b{r}." for r in sizes)
    strengths = {
        name: p for name, p in generator.named_parameters() if name.endswith("noise_strength") and name.startswith(prefixes)
    }
    for strength in strengths.values():
        strength.data.zero_()
    return tuple(strengths)


def thaw(module: nn.Module, frozen: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Freeze the named parameters and return the others, which are to be trained."""
    module.train().requires_grad_(False)
    trained = {name: p for name, p in module.named_parameters() if name not in frozen}
    for parameter in trained.values():
        parameter.requires_grad_(True)
    return trained
