"""What is noted of faces in a result."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import MienWarning
from mien.faces.align import CropFrame
from mien.faces.results import AlignedFace, Result, note_lighter_skin, note_little
from mien.media.image_data import ImageData

_PHOTO = ImageData(np.zeros((100, 100, 3), np.uint8), path=Path("group.jpg"))


def _face(side: float, inside: torch.Tensor) -> AlignedFace:
    return AlignedFace(CropFrame((50.0, 50.0), side, 0.0), torch.zeros(3, 256, 256), inside)


def test_a_face_of_few_pixels_is_noted() -> None:
    result = Result(_PHOTO, [])
    with pytest.warns(MienWarning, match=r"group\.jpg: A face of about 80 px .* use a larger image"):
        note_little(result, _face(80.0, torch.ones(1, 256, 256)))
    assert len(result.notes) == 1


def test_half_a_face_at_the_border_is_noted_and_hair_beyond_it_is_not(recwarn: pytest.WarningsRecorder) -> None:
    result, inside = Result(_PHOTO, []), torch.ones(1, 256, 256)
    inside[:, :60] = inside[:, :, :60] = 0
    note_little(result, _face(200.0, inside))
    assert not result.notes
    inside[:, :, :120] = 0
    with pytest.warns(MienWarning, match="partly outside the photo"):
        note_little(result, _face(200.0, inside))


def test_dark_skin_that_becomes_light_is_noted_and_other_changes_are_not(recwarn: pytest.WarningsRecorder) -> None:
    result = Result(_PHOTO, [])
    note_lighter_skin(result, 35.0, 45.0)
    note_lighter_skin(result, 60.0, 90.0)
    note_lighter_skin(result, 40.0, 20.0)
    assert not result.notes
    with pytest.warns(MienWarning, match=r"dark skin much lighter \(L\* 35 becomes 60\): learn it with `color` photo"):
        note_lighter_skin(result, 35.0, 60.0)
