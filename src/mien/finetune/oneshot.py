"""JoJoGAN: fine-tune a copy of the generator to one picture, or a few (Chong & Forsyth, ECCV 2022).

A family of codes around the reference's own code is made by style mixing (equation 1); the copy learns to answer every one of
them with the reference (equation 2). Mixing happens in S by default, as the paper does it; the published code mixes rows of W+.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from mien.checkpoint.landmarks import read_identity_network
from mien.errors import InputError, ModelMismatchError
from mien.faces.expression import expression_region
from mien.finetune.masks import parse_layers, parse_mask
from mien.finetune.stopping import LONGEST, enough
from mien.latents import RandomLayers, StyleCodes, broadcast, keep_below, mix_rows, mix_styles, num_ws, style_layers
from mien.losses.features import FrozenFeatures, feature_distance, grey, loss_resolutions
from mien.losses.identity import identity_loss
from mien.losses.judges import Judge, identity_maps, pixels
from mien.losses.layout import layout_loss
from mien.models.discriminator import Discriminator
from mien.models.embedders import Embedder
from mien.models.generator import Generator, Noise, SynthesisNetwork
from mien.ops import current

_LAYOUT_WEIGHT = 0.2  # of the layout loss beside the style distance, for the gaze of the photo

Progress = Callable[[int, int, float], None]

# Rows of W+ that are random in the published code ("M1", "M2" and M2 before February 2022), for 18 rows and fewer.
Loss = Literal["discriminator", "pixels", "identity", "mobilenet-v2"]

W_PLUS_MASKS = {"m1": tuple(range(7, 18)), "m2": (9, 11, 15, 16, 17), "m2-2021": (7, 9, 11, 15, 16, 17)}


@dataclass(frozen=True)
class FitConfig:
    """How a style is learned from its references."""

    steps: Annotated[
        int | Literal["auto"], "fine-tuning steps, or auto: 200 to 500, until little is gained; the paper takes 200 to 500"
    ] = 300
    learning_rate: Annotated[float, "Adam's learning rate"] = 2e-3
    space: Annotated[Literal["s", "w_plus"], "where codes are mixed: s as in the paper, w_plus as in the published code"] = "s"
    random_from: Annotated[
        str, "space s: first up-convolution whose layers are random, such as 64px; auto: that for 1024 px, 16px up to 256 px"
    ] = "auto"
    random_layers: Annotated[
        str | None, "space s: the random layers by name in place of random_from: presets, sizes or layers, see `mien masks`"
    ] = None
    mask: Annotated[str, "space w_plus: the random rows: m1, m2, m2-2021 or numbers such as 7,9,11"] = "m1"
    mean_layers: Annotated[
        str | None, "space s: layers, named as for random_layers, in which the mean face's code stands for the reference's"
    ] = None
    color: Annotated[Literal["reference", "photo"], "whose colours the result has"] = "reference"
    gaze: Annotated[
        Literal["photo"] | None, "photo: eyes look where the photo's do, and mouths stay as they are; without it as drawn"
    ] = None
    batch: Annotated[int, "references per step (0: all of them); bounds the memory"] = 4
    loss: Annotated[
        Loss, "what reference and picture are compared by: features of the discriminator, or others to compare with them"
    ] = "discriminator"
    identity_weight: Annotated[float, "how strongly faces stay the people they were, 0.01 for clearly; 0: not at all"] = 0.0
    noise: Annotated[Literal["random", "const"], "noise while training: fresh at every step, or the stored maps"] = "random"
    seed: Annotated[int, "seed of codes, noise and order"] = 0
    bf16: Annotated[bool, "convolutions in bfloat16; faster where the processor has it"] = False

    def __post_init__(self) -> None:
        if self.steps != "auto" and self.steps < 0:
            raise InputError(f"The number of steps must not be negative, got {self.steps}.")
        if self.random_layers is not None and self.space != "s":
            raise InputError("--random-layers names layers of S: leave out --space w-plus, or give its rows with --mask.")
        if self.mean_layers is not None and self.space != "s":
            raise InputError("--mean-layers blends layers of S: leave out --space w-plus.")
        if not 0 <= self.identity_weight < math.inf:
            raise InputError(f"--identity-weight is 0 or more, such as 0.01, got {self.identity_weight}.")


def random_layers(
    resolution: int, config: FitConfig, features: Mapping[str, Mapping[str, Tensor]] | None = None
) -> RandomLayers:
    """The S layers, or with parts of the face the channels, that are random (the paper's M = 0) for space `s`.

    `features` are the channels of the parts, as `parse_mask` takes them.
    """
    if config.random_layers is not None:
        return parse_mask(config.random_layers, resolution, features)
    if config.color == "photo":
        # The counterpart of the published W+ rows 9, 11, 15.. in S: colour and the finest texture, without the layers of line.
        return parse_layers("m2", resolution)
    try:
        start = usual_start(resolution) if config.random_from == "auto" else int(config.random_from.removesuffix("px"))
    except ValueError:
        start = 0
    if start not in {layer.resolution for layer in style_layers(resolution)}:
        raise InputError(
            f"--random-from is a block size of the model, such as {resolution // 2}px, got {config.random_from!r}: choose one."
        )
    return frozenset(layer.name for layer in style_layers(resolution)) - keep_below(resolution, start)


def usual_start(resolution: int) -> int:
    """Where layers begin to be random: at 64 px of 1024 (the published code), and as far below the top in smaller models.

    There colour and line are the business of lower layers: held to the reference's code, they would be learned for this code
    alone. Below 16 px are pose and the shape of the head.
    """
    return min(resolution, max(16, resolution // 16))


def random_rows(resolution: int, config: FitConfig) -> tuple[int, ...]:
    """The rows of W+ that are random for space `w_plus`."""
    preset = W_PLUS_MASKS.get("m2" if config.color == "photo" and config.mask == "m1" else config.mask)
    try:
        rows = preset or tuple(int(row) for row in config.mask.split(","))
    except ValueError as error:
        known = ", ".join(W_PLUS_MASKS)
        raise InputError(f"--mask is one of {known} or row numbers such as 7,9,11, got {config.mask!r}.") from error
    rows = tuple(row for row in rows if row < num_ws(resolution))
    if not rows:
        raise InputError(f"The mask {config.mask} leaves none of the {num_ws(resolution)} rows random: choose lower rows.")
    return rows


class OneShotTuner:
    """The loop: owns the tuned copy of the synthesis network; `step` does one update."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, pictures: Tensor, w_plus: Tensor, config: FitConfig,
        *, weights: Tensor | None = None, valid: Tensor | None = None, styles: StyleCodes | None = None,
        features: Mapping[str, Mapping[str, Tensor]] | None = None, identity: Embedder | None = None,
        judge: Judge | None = None,
    ) -> None:  # fmt: skip
        """`pictures` [N, 3, R, R] in [-1, 1], their inversions `w_plus` [N, num_ws, w_dim]; `weights` [N] weigh them.

        `valid` [N, 1, R, R] in [0, 1] is the part of each picture that is to be learned; None: all of it. `styles` [N] are S
        codes to mix with in place of those of `w_plus`, for space `s`. `features` are the channels of the parts of the face
        that `config.random_layers` may name. `identity` is the network of the identity loss; None: the one that comes with
        mien. `judge` makes the feature maps that are compared; None: those that `config.loss` names.
        """
        self.config, self.base = config, generator
        self.synthesis: SynthesisNetwork = copy.deepcopy(generator.synthesis).train().requires_grad_(True)
        self.device = w_plus.device
        self.random = torch.Generator().manual_seed(config.seed)
        self.dtype = torch.bfloat16 if config.bf16 else torch.float32
        self.w_plus, self.pictures = w_plus, pictures
        self.losses: list[float] = []
        self.identity: Embedder | None = None
        if config.identity_weight:
            self.identity = (identity or copy.deepcopy(read_identity_network())).to(self.device)
        self.weights = None if weights is None or bool((weights == weights[0]).all()) else weights / weights.mean()
        self.region = expression_region(pictures).to(self.device) if config.gaze == "photo" else None
        self.valid, self.given_styles = valid, styles
        resolution = generator.config.resolution
        if config.space == "s":
            self.layers = random_layers(resolution, config, features)
            with torch.no_grad():
                self.reference_styles = styles or generator.synthesis.styles(w_plus)
                if config.mean_layers is not None:
                    mean = generator.mapping.w_avg[None].expand(len(w_plus), -1)
                    mean_styles = generator.synthesis.styles(broadcast(mean, generator.num_ws))
                    layers = parse_layers(config.mean_layers, resolution)
                    self.reference_styles = mix_styles(self.reference_styles, mean_styles, layers)
            for layer in style_layers(resolution):  # S codes come from the base model: the affine layers stay as they are
                self.synthesis.layer(layer.name).affine.requires_grad_(False)
        else:
            self.rows = random_rows(resolution, config)
            self.layers = frozenset(layer.name for layer in style_layers(resolution) if layer.row in self.rows)
        self.judge = judge or self._usual_judge(discriminator)
        with torch.no_grad():
            self.targets = self.judge(self._seen(pictures))  # constant: computed once
        for name, parameter in self.synthesis.named_parameters():
            if name.endswith("noise_strength") and not bool(parameter.any()):
                parameter.requires_grad_(False)  # a model trained without noise stays without: it would only make speckle
        parameters = [p for p in self.synthesis.parameters() if p.requires_grad]
        self.adam = torch.optim.Adam(
            parameters, lr=config.learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=current() == "fast"
        )

    def _usual_judge(self, discriminator: Discriminator) -> Judge:
        loss = self.config.loss
        if loss == "pixels":
            return pixels
        if loss == "identity":
            return identity_maps(copy.deepcopy(read_identity_network()).to(self.device))
        if loss == "mobilenet-v2":
            raise ValueError("the loss mobilenet-v2 needs a judge: its network is the user's own")
        return FrozenFeatures(discriminator, loss_resolutions(self.base.config.resolution), self.dtype)

    def _seen(self, pictures: Tensor) -> Tensor:
        return grey(pictures) if self.config.color == "photo" else pictures

    def _choose(self) -> Tensor:
        """Which references this step sees: all, or the next `batch` of a random order."""
        count, batch = len(self.pictures), self.config.batch
        if batch == 0 or batch >= count:
            return torch.arange(count)
        return torch.randperm(count, generator=self.random)[:batch]

    def codes(self, index: Tensor) -> StyleCodes | Tensor:
        """One fresh member of the family around each chosen reference: S codes, or W+ in space w_plus."""
        z = torch.randn(len(index), self.base.config.z_dim, generator=self.random).to(self.device)
        with torch.no_grad():
            w = self.base.mapping(z)
            if self.config.space == "w_plus":
                return mix_rows(self.w_plus[index], w, self.rows)
            fresh = self.base.synthesis.styles(broadcast(w, self.base.num_ws))
        return mix_styles(self.reference_styles.select(index), fresh, self.layers)

    def _render(self, network: SynthesisNetwork, codes: StyleCodes | Tensor, noise: Noise) -> Tensor:
        return network.render(network.styles(codes) if isinstance(codes, Tensor) else codes, noise, self.dtype)

    def style_distance(self, picture: Tensor, index: Tensor) -> Tensor:
        """Equation 2: how far pictures [N, 3, R, R] are from the chosen references, where these are valid."""
        targets = self.targets if len(index) == len(self.pictures) else [t[index] for t in self.targets]
        found = self.judge(self._seen(self._framed(picture, index)))
        return feature_distance(found, targets, self._weights(index), self._valid(index))

    def _framed(self, picture: Tensor, index: Tensor) -> Tensor:
        """Pictures with the chosen references themselves where these are not valid.

        So features near the border are compared in the same surroundings, and nothing is learned from outside.
        """
        return picture if self.valid is None else torch.lerp(self.pictures[index], picture, self.valid[index])

    def loss(self, index: Tensor) -> Tensor:
        """Equation 2 for the chosen references, and how far the faces are from those that the base makes of the same codes."""
        noise = self.synthesis.noise(self.config.noise, len(index), self.random)
        codes = self.codes(index)
        picture = self._render(self.synthesis, codes, noise)
        loss = self.style_distance(picture, index)
        if self.identity is None and self.region is None:
            return loss
        with torch.no_grad():
            before = self._render(self.base.synthesis, codes, noise)
        if self.identity is not None:
            loss = loss + self.config.identity_weight * identity_loss(self.identity, picture, before, self._weights(index))
        if self.region is not None:
            loss = loss + _LAYOUT_WEIGHT * layout_loss(picture, before, self.region[index], self._weights(index))
        return loss

    def _weights(self, index: Tensor) -> Tensor | None:
        return None if self.weights is None else self.weights[index]

    def _valid(self, index: Tensor) -> Tensor | None:
        return None if self.valid is None else self.valid[index]

    def step(self) -> float:
        """One update; returns the loss before it."""
        loss = self.loss(self._choose())
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.adam.step()
        return float(loss.detach())

    def run(self, progress: Progress | None = None, after_step: Callable[[int], None] | None = None) -> list[float]:
        """All steps that are not done yet; returns the losses of all. `after_step` is called with the number of steps done."""
        asked = self.config.steps
        most = LONGEST if asked == "auto" else asked
        while len(self.losses) < most and not (asked == "auto" and enough(self.losses)):
            self.losses.append(self.step())
            if progress is not None:
                progress(len(self.losses), most, self.losses[-1])
            if after_step is not None:
                after_step(len(self.losses))
        return self.losses


def changes(base: nn.Module, tuned: nn.Module) -> dict[str, Tensor]:
    """What fine-tuning changed: {parameter name: difference}, float16, without parameters that stayed the same."""
    before = dict(base.named_parameters())
    gaps = {name: p.detach() - before[name].detach() for name, p in tuned.named_parameters()}
    return {name: gap.half().cpu() for name, gap in gaps.items() if bool(gap.any())}


def apply_changes(base: SynthesisNetwork, gaps: dict[str, Tensor]) -> SynthesisNetwork:
    """A copy of `base` with the differences of `changes` added.

    Raises `ModelMismatchError` when they name parameters that `base` has not, or has in another shape.
    """
    tuned = copy.deepcopy(base)
    own = dict(tuned.named_parameters())
    if any(name not in own or own[name].shape != gap.shape for name, gap in gaps.items()):
        raise ModelMismatchError("The style changes parts that this model has not: the style file is damaged, get it again.")
    with torch.no_grad():
        for name, gap in gaps.items():
            own[name].add_(gap.to(own[name]))
    return tuned.eval().requires_grad_(False)


def reference_weights(digests: Sequence[str], weights: Sequence[float] | None = None) -> tuple[list[int], list[float]]:
    """Merge references with the same content: indices of the first of each, and their summed weights."""
    first: dict[str, int] = {}
    total: dict[str, float] = {}
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
        total[digest] = total.get(digest, 0.0) + (1.0 if weights is None else weights[i])
    return list(first.values()), list(total.values())
