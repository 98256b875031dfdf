"""EfficientNet-Lite1: shapes, padding, and with the weights of the package what it sees in photos of a known kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.checkpoint import feature_network
from mien.checkpoint.feature_network import has_feature_network, read_feature_network
from mien.errors import CheckpointError, InputError
from mien.media.images import read_image
from mien.models.efficientnet_lite import EfficientNetLite, SameConv2d

_SNOW_LEOPARD = 289  # of the ImageNet classes, which are those of n02128757


def test_layers_and_sizes() -> None:
    network = EfficientNetLite().eval()
    maps = network.maps(torch.zeros(2, 3, 64, 64))
    assert [list(m.shape) for m in maps] == [[2, 16, 32, 32], [2, 24, 16, 16], [2, 40, 8, 8], [2, 112, 4, 4], [2, 1280, 2, 2]]
    assert network(torch.zeros(2, 3, 75, 50)).shape == (2, 1280)
    assert network.classify(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    # Table 1 of the announcement of EfficientNet-Lite: 5.4 million parameters.
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(5.4e6, rel=0.01)


@pytest.mark.parametrize("kernel", [3, 5])
def test_strided_convolutions_pad_as_tensorflow_does(kernel: int) -> None:
    torch.manual_seed(0)
    conv = SameConv2d(3, 4, kernel, 2)
    image = torch.randn(1, 3, 6, 7)
    made = conv(image)
    assert made.shape == (1, 4, 3, 4)
    weight, x = conv.weight.detach().double().numpy(), image[0].double().numpy()
    for row in range(3):
        for column in range(4):
            total = np.zeros(4)
            for i in range(kernel):
                for j in range(kernel):
                    # Of an odd number of padded pixels, the larger half goes below and to the right.
                    r, c = 2 * row + i - (kernel - 2) // 2, 2 * column + j - (kernel - 1) // 2
                    if 0 <= r < 6 and 0 <= c < 7:
                        total += weight[:, :, i, j] @ x[:, r, c]
            assert made[0, :, row, column].detach().numpy() == pytest.approx(total, abs=1e-5)


def test_it_knows_snow_leopards(shared: Path) -> None:
    if not has_feature_network():
        pytest.skip("the package of mien[measure] is not installed")
    network = read_feature_network()
    for path in sorted((shared / "data" / "styles-extreme").glob("n02128757_*")):
        rgb = read_image(path).rgb()[None]
        side = min(rgb.shape[2:])
        top, left = (rgb.shape[2] - side) // 2, (rgb.shape[3] - side) // 2
        square = F.interpolate(rgb[:, :, top : top + side, left : left + side], (240, 240), mode="bicubic", antialias=True)
        likely = network.classify(square.clamp(-1, 1)).softmax(1)[0]
        assert int(likely.argmax()) == _SNOW_LEOPARD, path.name
        assert likely[_SNOW_LEOPARD] > 0.4


def test_only_the_known_weights_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    if has_feature_network():
        monkeypatch.setattr(feature_network, "_SHA256", "0" * 64)
        with pytest.raises(CheckpointError, match="not the published file"):
            read_feature_network()
    monkeypatch.setattr(feature_network, "_PACKAGE", "no_such_package")
    assert not has_feature_network()
    with pytest.raises(InputError, match=r"mien\[measure\]"):
        read_feature_network()
