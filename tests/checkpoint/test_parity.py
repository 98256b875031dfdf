"""Is our network the original one? Every entry of the parity data in ../shared, by its README's definition of agreement."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint import load_model
from mien.checkpoint.foreign import encoders, rosinality
from mien.latents import broadcast, truncate
from mien.losses.features import FrozenFeatures, loss_resolutions, per_layer_distance
from mien.models.irse_encoder import EncoderKind
from mien.oneshot.config import OneShotConfig
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from toys import script

Fill = Callable[[str], dict[str, Tensor]]


@pytest.fixture(scope="module")
def fill(shared: Path) -> Fill:
    """Rebuilds the state dict of a parity entry in the original file's naming."""
    module = script(shared / "parity" / "fill.py")
    kept: dict[str, dict[str, Tensor]] = {}

    def state_dict(name: str) -> dict[str, Tensor]:
        if "_256" not in name:
            return module.state_dict(name)
        if name not in kept:
            kept[name] = module.state_dict(name)
        return {key: value.clone() for key, value in kept[name].items()}

    return state_dict


def expected(shared: Path, name: str) -> dict[str, Tensor]:
    with np.load(shared / "parity" / f"{name}.npz") as data:
        return {key: torch.from_numpy(data[key]) for key in data.files}


def assert_agrees(ours: Tensor, reference: Tensor, tolerance: float = 1e-4) -> None:
    """Largest difference relative to the largest reference value, as the parity README defines agreement."""
    assert ours.shape == reference.shape
    difference = float((ours - reference).abs().max() / reference.abs().max())
    assert difference <= tolerance, f"differs by {difference:.1e} of the largest value"


def enlarged(image16: Tensor, size: int) -> Tensor:
    return F.interpolate(image16, size=(size, size), mode="bicubic", align_corners=False).clamp(-1, 1)


@pytest.mark.parametrize("resolution", [256, pytest.param(1024, marks=pytest.mark.slow)])
@torch.inference_mode()
def test_rosinality_generator(shared: Path, fill: Fill, resolution: int) -> None:
    name = f"rosinality_g_{resolution}"
    data = expected(shared, name)
    generator, remarks = rosinality.build_generator(fill(name), torch.zeros(512), name)
    assert remarks == []
    assert generator.config.resolution == resolution
    assert_agrees(generator.mapping(data["z"]), data["w"])
    image = generator(data["w_plus"], generator.synthesis.noise("const"))
    middle = slice(resolution // 2 - 16, resolution // 2 + 16)
    assert_agrees(image[:, :, middle, middle], data["image_crop32"])
    assert_agrees(F.adaptive_avg_pool2d(image, 64), data["image_pool64"])


@pytest.mark.parametrize("resolution", [256, pytest.param(1024, marks=pytest.mark.slow)])
@torch.inference_mode()
def test_rosinality_discriminator(shared: Path, fill: Fill, resolution: int) -> None:
    name = f"rosinality_d_{resolution}"
    data = expected(shared, name)
    discriminator = rosinality.build_discriminator(fill(name), name)
    sizes = [resolution >> i for i in range(resolution.bit_length() - 2)]
    features = discriminator.features(enlarged(data["image16"], resolution), sizes)
    for i, size in enumerate(sizes):
        assert_agrees(features[size].mean(dim=(2, 3)), data[f"convs{i}_mean"])
        assert_agrees(features[size].abs().mean(dim=(2, 3)), data[f"convs{i}_absmean"])
    assert_agrees(discriminator.b4(features[4]), data["logit"])  # the last feature map is what the logit is made of
    if resolution == 256:
        assert_agrees(discriminator(enlarged(data["image16"], resolution)), data["logit"])


@torch.inference_mode()
def test_nvidia_pickle(shared: Path) -> None:
    data = expected(shared, "nvidia_small")
    model = load_model(shared / "parity" / "nvidia_small.pkl")
    generator, noise = model.generator, model.generator.synthesis.noise("const")
    ws = broadcast(generator.mapping(data["z"]), generator.num_ws)
    pulled = truncate(ws, generator.mapping.w_avg, 0.7, cutoff=8)
    assert_agrees(ws, data["ws"])
    assert_agrees(pulled, data["ws_psi07_cutoff8"])
    assert_agrees(generator(ws, noise), data["image_const"])
    assert_agrees(generator(pulled, noise), data["image_const_psi07"])
    assert_agrees(generator(ws, generator.synthesis.noise("none")), data["image_no_noise"])
    assert model.discriminator is not None
    assert_agrees(model.discriminator(data["image_const"]), data["logit"])


def assert_encoder_agrees(shared: Path, kind: EncoderKind, tensors: dict[str, Tensor]) -> None:
    name = f"{kind.replace('-', '_')}_encoder"
    data = expected(shared, name)
    encoder = encoders.build_encoder(encoders.EncoderParts(tensors, None, {}), kind, name).encoder
    assert_agrees(encoder(enlarged(data["image16"], 256)), data["output"])


@pytest.mark.slow
@torch.inference_mode()
def test_psp_and_e4e_encoders(shared: Path, fill: Fill) -> None:
    tensors = fill("psp_encoder")  # a gigabyte of equal names and shapes: fill.py gives both the same numbers
    specs = [json.loads((shared / "parity" / f"{kind}_encoder.json").read_text())["tensors"] for kind in ("psp", "e4e")]
    assert specs[0] == specs[1]
    assert_encoder_agrees(shared, "psp", tensors)
    assert_encoder_agrees(shared, "e4e", tensors)


@torch.inference_mode()
def test_restyle_encoder(shared: Path, fill: Fill) -> None:
    assert_encoder_agrees(shared, "restyle-psp", fill("restyle_psp_encoder"))


@torch.inference_mode()
def test_arcface(shared: Path, fill: Fill) -> None:
    data = expected(shared, "arcface_irse50")
    network = encoders.build_identity(fill("arcface_irse50"), "arcface_irse50")
    assert_agrees(network(enlarged(data["image16"], 112)), data["output"])


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute of one core; more on a machine that does something else besides
def test_published_fine_tuning_steps(shared: Path, fill: Fill) -> None:
    """Four steps of the published loop: W+ mixing, rows 7 and up random, stored noise, two references in one batch."""
    data = expected(shared, "jojogan_steps_256")
    generator, _ = rosinality.build_generator(fill("rosinality_g_256"), torch.zeros(512), "generator")
    discriminator = rosinality.build_discriminator(fill("rosinality_d_256"), "discriminator")
    config = replace(OneShotConfig.preset("published"), steps=4, noise="const")
    recorded, features = iter(data["z_random"]), FrozenFeatures(discriminator, loss_resolutions(256))
    seen: list[Sequence[Tensor]] = []

    def latents(count: int, _: torch.Generator) -> Tensor:
        return broadcast(generator.mapping(next(recorded)), generator.num_ws)

    def extractor(images: Tensor) -> Sequence[Tensor]:
        seen.append(features(images))
        return seen[-1]

    references = References(enlarged(data["target16"], 256), data["w_plus_reference"])
    tuner = OneShotTuner(generator, discriminator, references, config, latents=latents, extractor=extractor)
    losses = tuner.run()
    torch.testing.assert_close(torch.tensor(losses), data["loss"], rtol=1e-3, atol=0)
    targets, *found = seen
    per_layer = torch.stack([per_layer_distance(maps, targets).detach() for maps in found])
    torch.testing.assert_close(per_layer, data["loss_per_layer"], rtol=1e-3, atol=0)
    with torch.inference_mode():
        styles = tuner.synthesis.styles(data["w_plus_reference"])
        image = tuner.synthesis.synthesize(styles, tuner.synthesis.noise("const"))
    assert_agrees(F.adaptive_avg_pool2d(image, 64), data["image_after_pool64"], tolerance=5e-3)
