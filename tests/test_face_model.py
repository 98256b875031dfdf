"""A photo's codes are found once for the same settings, and are those that would be found anew."""

import gc
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.checkpoint import load_model
from mien.checkpoint.model_file import write_model
from mien.face_model import FaceModel
from mien.faces.config import AlignConfig
from mien.media.images import from_tensor
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.model import Model
from mien.render_config import RenderConfig
from toys import tiny, tiny_discriminator

R = 32
PLAIN = RenderConfig(refine_steps=2)


@pytest.fixture
def model(tmp_path: Path) -> FaceModel:
    torch.manual_seed(0)
    encoder = CompactEncoder(CompactEncoderConfig(R, num_ws=8, w_dim=16, width=8, max_width=16))
    write_model(tmp_path / "tiny.safetensors", Model(tiny(R), tiny_discriminator(R), encoder))
    return FaceModel(load_model(tmp_path / "tiny.safetensors"))


def test_codes_are_found_once_for_the_same_settings(model: FaceModel) -> None:
    photo = model.align(from_tensor(torch.rand(3, 64, 64) * 2 - 1), AlignConfig(aligned=True))
    rounds: list[int] = []

    def steps_for(config: RenderConfig, fidelity: float = 0.7) -> int:
        rounds.clear()
        model.invert_faces(photo, config, fidelity=fidelity, progress=lambda done, total, loss: rounds.append(done))
        return len(rounds)

    assert steps_for(PLAIN) == 2
    assert steps_for(PLAIN) == 0
    assert steps_for(replace(PLAIN, strength=0.5, hair=0.0), fidelity=1.0) == 0, "drawing does not change the codes"
    assert steps_for(replace(PLAIN, refine_steps=3)) == 3
    assert steps_for(PLAIN, fidelity=0.0) == 2, "codes alone are found without a feature code beside them"
    again = model.align(from_tensor(torch.rand(3, 64, 64) * 2 - 1), AlignConfig(aligned=True))
    assert again != photo
    known = model.invert_faces(photo, PLAIN, fidelity=1.0)
    fresh = model.invert_crops(torch.stack([face.crop for face in photo.faces]), refine_steps=2, fidelity=1.0)
    assert torch.equal(known.w_plus, fresh.w_plus)
    assert known.feature_code is not None
    assert fresh.feature_code is not None
    assert torch.equal(known.feature_code, fresh.feature_code)


def test_codes_are_forgotten_with_their_photo(model: FaceModel) -> None:
    photo = model.align(from_tensor(torch.rand(3, 64, 64) * 2 - 1), AlignConfig(aligned=True))
    model.invert_faces(photo, PLAIN, fidelity=0.7)
    assert len(model._known) == 1
    del photo
    gc.collect()
    assert len(model._known) == 0
