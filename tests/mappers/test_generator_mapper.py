"""The generator as a mapper draws what the careful path draws; its quick masks are near the careful ones."""

import copy

import pytest
import torch

import mien
from mien.errors import ModelMismatchError
from mien.faces.background import soften_ground
from mien.faces.feature_strength import weigh_feature_code
from mien.faces.head_mask import coarse_head_mask, covering_mask, fading, head_masks
from mien.faces.warp import blur
from mien.latents import Codes
from mien.mappers import GeneratorMapper, Seen
from mien.mappers.folded import FoldedSynthesis
from mien.mappers.resampling import averaging, blurring, resizing
from mien.models.sampling import random_codes
from toys import tiny


@pytest.fixture(scope="module")
def pipe() -> mien.Stylizer:
    return mien.Stylizer.load(device="cpu")


@pytest.fixture(scope="module")
def style() -> mien.Style:
    return mien.Style.load("comic")


@pytest.fixture(scope="module")
def mapper(pipe: mien.Stylizer, style: mien.Style) -> GeneratorMapper:
    return GeneratorMapper(pipe.model, style)


@pytest.fixture(scope="module")
def crops(pipe: mien.Stylizer) -> torch.Tensor:
    """Two faces of the model itself, before a ground with edges."""
    faces = pipe.render(Codes(random_codes(pipe.model.generator, 2, seed=4, psi=0.8))).clamp(-1, 1)
    stripes = (torch.arange(256) // 16 % 2).float() * 0.8 - 0.4
    return torch.lerp(stripes.expand_as(faces), faces, torch.stack([covering_mask(*head_masks(f, f)) for f in faces]))


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_a_folded_network_is_the_network_at_every_strength(clamp: float | None) -> None:
    base, tuned = tiny(32, clamp).requires_grad_(False).synthesis, tiny(32, clamp).requires_grad_(False).synthesis
    codes, feature_code = torch.randn(3, base.config.num_ws, 16), torch.randn(3, 8, 16, 16)
    for (_, own), (_, other) in zip(tuned.named_buffers(), base.named_buffers(), strict=True):
        own.copy_(other)  # fine-tuning changes no noise maps
    folded, half = FoldedSynthesis(base, tuned), copy.deepcopy(base)
    for own, other in zip(half.parameters(), tuned.parameters(), strict=True):
        own.lerp_(other, 0.5)
    for strength, network in ((0.0, base), (1.0, tuned), (0.5, half)):
        expected = network.synthesize(network.styles(codes), network.noise("const"), feature_code=feature_code)
        torch.testing.assert_close(folded(codes, feature_code, folded.at(strength)), expected, atol=5e-5, rtol=1e-4)


def test_products_with_matrices_are_the_operations() -> None:
    image = torch.rand(3, 24, 24)

    def interpolated(size: int, mode: str) -> torch.Tensor:
        return torch.nn.functional.interpolate(image[None], (size, size), mode=mode, antialias=True)[0]

    torch.testing.assert_close(resizing(24, 10, "bicubic")(image), interpolated(10, "bicubic"), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(resizing(24, 60, "bilinear")(image), interpolated(60, "bilinear"), atol=1e-5, rtol=1e-5)
    wide = torch.nn.functional.pad(image[None], (2, 2, 2, 2), mode="replicate")
    torch.testing.assert_close(averaging(24, 2)(image), torch.nn.functional.avg_pool2d(wide, 5, 1)[0])
    torch.testing.assert_close(blurring(24, 1.7)(image), blur(image, 1.7))


def test_the_same_codes_give_the_face_of_apply(pipe: mien.Stylizer, style: mien.Style, mapper: GeneratorMapper) -> None:
    codes = pipe.invert_crops(torch.rand(2, 3, 256, 256) * 2 - 1)
    for strength, fidelity in ((1.0, 0.7), (0.0, 1.0), (1.0, 0.0)):
        drawn = mapper.draw(Seen(codes, torch.zeros(2, 1, 128, 128)), strength=strength, fidelity=fidelity).faces
        expected = pipe.draw(style, weigh_feature_code(pipe.model, codes, fidelity), strength).clamp(-1, 1)
        assert float((drawn - expected).abs().max()) < 1e-4, (strength, fidelity)


def test_half_the_strength_lies_about_halfway(mapper: GeneratorMapper, crops: torch.Tensor) -> None:
    none, half, full = (mapper(crops, strength=s).faces for s in (0.0, 0.5, 1.0))
    whole_way = float((full - none).abs().mean())
    assert float((half - none).abs().mean()) < 0.8 * whole_way
    assert float((half - full).abs().mean()) < 0.8 * whole_way


def test_whole_crops_give_nearly_the_face_of_apply(
    pipe: mien.Stylizer, style: mien.Style, mapper: GeneratorMapper, crops: torch.Tensor
) -> None:
    """Within 1/255 on average: only the background's mask is another one."""
    expected = pipe.draw(style, pipe.invert_crops(crops, fidelity=style.fidelity)).clamp(-1, 1)
    mapped = mapper(crops)
    assert float((mapped.faces - expected).abs().mean()) * 127.5 < 1
    careful = torch.stack([covering_mask(*head_masks(*pair)) for pair in zip(crops, expected, strict=True)])
    # A mask from the network alone, which follows no edges, is the yardstick.
    rough = torch.nn.functional.interpolate(
        covering_mask(coarse_head_mask(crops), coarse_head_mask(expected)), (256, 256), mode="bilinear"
    )
    assert float((mapped.masks - careful).abs().mean()) < min(0.02, 0.6 * float((rough - careful).abs().mean()))


def test_backgrounds_are_softened_as_carefully(mapper: GeneratorMapper, crops: torch.Tensor) -> None:
    seen = mapper.to_encoder(crops)
    soft = mapper.soften(seen, mapper.keep(fading(mapper.heads(crops))))
    careful = mapper.to_encoder(torch.stack([soften_ground(crop) for crop in crops]))
    assert float((soft - careful).abs().mean()) < 0.15 * float((seen - careful).abs().mean())


def test_call_is_encode_and_draw(mapper: GeneratorMapper, crops: torch.Tensor) -> None:
    seen = mapper.encode(crops)
    assert seen.codes.w_plus.shape == (2, 14, 256)
    apart, together = mapper.draw(seen, fidelity=0.5), mapper(crops, fidelity=0.5)
    assert torch.equal(apart.faces, together.faces)
    assert torch.equal(apart.masks, together.masks)
    assert apart.masks.shape == (2, 1, 256, 256)
    assert float((apart.faces - mapper(crops).faces).abs().mean()) > 0.001, "the style's own fidelity is another"


def test_bfloat16_draws_the_same_face(pipe: mien.Stylizer, style: mien.Style, mapper: GeneratorMapper) -> None:
    crops = torch.rand(1, 3, 256, 256) * 0.2
    half = GeneratorMapper(pipe.model, style, dtype=torch.bfloat16)(crops).faces
    assert float((half - mapper(crops).faces).abs().mean()) * 127.5 < 3


def test_a_model_without_an_encoder_is_refused() -> None:
    with pytest.raises(ModelMismatchError, match="encoder"):
        GeneratorMapper(mien.models.Model(tiny(64)))
