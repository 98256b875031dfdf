"""Images in [-1, 1] and bytes."""

import torch

from mien.media.eight_bit import from_uint8, to_uint8


def test_every_byte_comes_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(to_uint8(from_uint8(every)), every)
    assert from_uint8(every)[0, 0, 0] == -1
    assert from_uint8(every)[0, -1, -1] == 1


def test_values_are_clipped_and_rounded_to_the_nearest() -> None:
    step = 2 / 255
    values = torch.tensor([-7.0, -1 + 0.4 * step, -1 + 0.6 * step, 1 - 0.4 * step, 3.0])
    assert to_uint8(values).tolist() == [0, 0, 1, 255, 255]
