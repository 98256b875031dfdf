"""The identity network that comes with mien, and the loss by which a learned style keeps the person."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mien.checkpoint import native
from mien.checkpoint.face_networks import read_identity_network, write_identity_network
from mien.cli.app import shell
from mien.errors import CheckpointError, InputError
from mien.losses.face import identity_loss
from mien.losses.features import gray
from mien.media.image_input import as_image
from mien.models.embedders import ArcFace
from mien.models.identity import IdentityConfig, IdentityNetwork
from mien.oneshot.config import OneShotConfig
from mien.oneshot.reference_tuner import ReferenceTuner
from mien.oneshot.references import References
from mien.oneshot.tuner import OneShotTuner
from mien.pipeline import Stylizer
from mien.shipped import EMBEDDED_MODEL
from toys import setting

DATA = Path(EMBEDDED_MODEL).parent


def small() -> IdentityNetwork:
    """A random network that is quick."""
    return IdentityNetwork(IdentityConfig(size=32, widths=(8, 8, 16), outputs=16)).eval().requires_grad_(False)


def similarity(network: IdentityNetwork | ArcFace, a: Tensor, b: Tensor) -> Tensor:
    return F.cosine_similarity(network.embed_crop(a), network.embed_crop(b))


# --- the network --------------------------------------------------------------------------------------------------------------


def test_it_is_small_and_read_once() -> None:
    network = read_identity_network()
    assert network is read_identity_network()
    assert not network.training
    assert (DATA / "identity.safetensors").stat().st_size < 5_000_000


@pytest.mark.parametrize("side", [16, 32, 50, 64, 256])
def test_embeddings_have_length_one_at_every_size(side: int) -> None:
    found = read_identity_network().embed_crop(torch.rand(2, 3, side, side) * 2 - 1)
    assert found.shape == (2, 128)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_gradients_reach_the_face_and_nothing_around_it() -> None:
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    small().embed_crop(image)[0, 0].backward()
    assert image.grad is not None
    touched = image.grad[0].abs().sum(dim=0) > 0
    assert bool(touched[8:56, 8:56].all())
    assert int(touched.sum()) == 48 * 48


@torch.inference_mode()
def test_it_knows_a_person_again() -> None:
    """The same face small, gray, dark and mirrored is more alike than any other face."""
    faces = torch.stack([as_image(image).rgb() for image in Stylizer.load().sample(6, seed=5, psi=1.0)])
    network = read_identity_network()
    own = network.embed_crop(faces)
    others = (own @ own.T)[~torch.eye(6, dtype=torch.bool)].reshape(6, 5).amax(dim=1)
    for name, look in {
        "small": F.interpolate(faces, (32, 32), mode="bilinear", antialias=True),
        "gray": gray(faces),
        "dark": faces * 0.5 - 0.3,
        "mirrored": faces.flip(3),
    }.items():
        alike = (network.embed_crop(look) * own).sum(dim=1)
        assert bool((alike > others).all()), (name, alike, others)


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    network, path, image = small(), tmp_path / "identity.safetensors", torch.randn(2, 3, 64, 64)
    write_identity_network(path, network, {"name": "test"})
    again = read_identity_network(path)
    torch.testing.assert_close(again.embed_crop(image), network.embed_crop(image), rtol=0, atol=0.01)
    assert not any(p.requires_grad for p in again.parameters())


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    with pytest.raises(CheckpointError, match="of the kind landmarks, not identity"):
        read_identity_network(DATA / "landmarks.safetensors")
    native.write(path, "identity", {"identity.a": torch.zeros(1)}, {"config": {}})
    with pytest.raises(CheckpointError, match="missing"):
        read_identity_network(path)
    for damaged in ({"config": {"depth": 3}}, {"config": {"widths": "many"}}, {"config": 7}, {}):
        native.write(path, "identity", {"identity.a": torch.zeros(1)}, damaged)
        with pytest.raises(CheckpointError, match="damaged description"):
            read_identity_network(path)
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{nothing like it")
    with pytest.raises(CheckpointError, match=r"file\.safetensors"):
        read_identity_network(path)


# --- the loss -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [small(), ArcFace(width=16).eval().requires_grad_(False)], ids=["own", "arcface"])
def test_it_is_one_minus_the_cosine_and_zero_for_equal_images(network: IdentityNetwork | ArcFace) -> None:
    a, b = torch.randn(2, 3, 3, 64, 64).clamp(-1, 1)
    assert float(identity_loss(network, a, a)) == 0.0
    expected = 1 - similarity(network, gray(a), gray(b))
    torch.testing.assert_close(identity_loss(network, a, b), expected.mean(), rtol=1e-4, atol=1e-6)
    weights = torch.tensor([3.0, 0.0, 0.0])
    torch.testing.assert_close(identity_loss(network, a, b, weights), expected[0], rtol=1e-4, atol=1e-6)


def test_it_falls_as_images_become_alike() -> None:
    network, (a, b) = small(), torch.randn(2, 2, 3, 64, 64).clamp(-1, 1)
    losses = [float(identity_loss(network, a.lerp(b, share), b)) for share in (0.0, 0.4, 0.7, 0.9, 1.0)]
    assert losses == sorted(losses, reverse=True)


def test_its_gradient_pulls_towards_the_person() -> None:
    network, (a, b) = small(), torch.randn(2, 1, 3, 64, 64).clamp(-1, 1)
    image = a.clone().requires_grad_(True)
    identity_loss(network, image, b).backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    nearer = a - 0.5 * image.grad / image.grad.norm()
    assert float(similarity(network, gray(nearer), gray(b))) > float(similarity(network, gray(a), gray(b)))


def test_color_is_the_styles_own_affair() -> None:
    network, (a, b) = small(), torch.randn(2, 2, 3, 64, 64).clamp(-1, 1)
    luma = torch.tensor([0.299, 0.587, 0.114])
    tint = torch.tensor([0.5, 0.1, 0.0])
    tint = (tint - (tint * luma).sum())[:, None, None]  # another color of the same brightness
    torch.testing.assert_close(identity_loss(network, a + tint, b), identity_loss(network, a, b), rtol=1e-4, atol=1e-6)


# --- in the one-shot fine-tuning ----------------------------------------------------------------------------------------------


class _Before(OneShotTuner):
    """The loss as it was before there was an identity loss."""

    def loss(self, index: Tensor) -> Tensor:
        noise = self.synthesis.noise(self.config.noise, len(index), self.random)
        codes = self.mixing.mixed_codes(index, self.random)
        styles = self.synthesis.styles(codes) if isinstance(codes, Tensor) else codes
        return self.style_distance(self.synthesis.synthesize(styles, noise), index)


@pytest.mark.parametrize("space", ["s", "w_plus"])
def test_without_weight_nothing_changes(space: str) -> None:
    g, d, images, w_plus = setting(2)
    config = OneShotConfig(random_from="32px", space=space, random_rows="3,5,9")  # type: ignore[arg-type]
    tuners = [
        OneShotTuner(g, d, References(images, w_plus), config, identity=small()),
        _Before(g, d, References(images, w_plus), config),
    ]
    losses = [[tuner.step() for _ in range(3)] for tuner in tuners]
    assert losses[0] == losses[1]
    now, then = (tuner.synthesis.state_dict() for tuner in tuners)
    assert all(torch.equal(now[name], then[name]) for name in then)


@pytest.mark.parametrize("space", ["s", "w_plus"])
def test_with_weight_faces_stay_who_they_were(space: str) -> None:
    g, d, images, w_plus = setting(2)
    network, noise, kept = small(), g.synthesis.noise("const"), []
    for weight in (0.0, 5.0):
        config = OneShotConfig(random_from="32px", space=space, random_rows="3,5,9", identity_weight=weight, learning_rate=0.01)  # type: ignore[arg-type]
        tuner = OneShotTuner(g, d, References(images, w_plus), config, identity=network)
        for _ in range(12):
            tuner.step()
        with torch.no_grad():
            before, after = (s.synthesize(s.styles(w_plus), noise) for s in (g.synthesis, tuner.synthesis))
            kept.append(1 - float(identity_loss(network, after, before)))
    assert kept[1] > kept[0] + 0.01


def test_it_starts_at_the_style_distance_alone() -> None:
    g, d, images, w_plus = setting(2)
    with_weight, without = (
        OneShotTuner(g, d, References(images, w_plus), OneShotConfig(identity_weight=weight), identity=small()).step()
        for weight in (1.0, 0.0)
    )
    assert with_weight == without, "an untuned generator is the base: nobody has changed yet"


def test_the_plain_twin_agrees() -> None:
    g, d, images, w_plus = setting(2)
    network, config = small(), OneShotConfig(random_from="32px", identity_weight=0.5)
    given = References(images, w_plus, (1.0, 2.0))
    fast, plain = (cls(g, d, given, config, identity=network) for cls in (OneShotTuner, ReferenceTuner))
    for _ in range(2):
        assert fast.step() == pytest.approx(plain.step(), rel=1e-3)


def test_the_embedded_network_is_the_default_and_stays_as_it_is() -> None:
    g, d, images, w_plus = setting()
    tuner = OneShotTuner(g, d, References(images, w_plus), OneShotConfig(identity_weight=0.01, steps=1))
    assert isinstance(tuner.identity, IdentityNetwork)
    assert tuner.identity is not read_identity_network()
    before = {name: value.clone() for name, value in tuner.identity.state_dict().items()}
    tuner.run()
    assert all(torch.equal(value, before[name]) for name, value in tuner.identity.state_dict().items())


def test_weights_that_are_none_are_refused() -> None:
    for weight in (-0.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match="identity_weight"):
            OneShotConfig(identity_weight=weight)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image := tmp_path / "face.png").write_bytes(b"")
    (arcface := tmp_path / "arcface.pth").write_bytes(b"nothing of the kind")
    line = ["fit", str(image), "-o", str(tmp_path / "style.safetensors"), "--identity-network", str(arcface)]
    assert shell(line) == 2
    assert "--identity-weight" in capsys.readouterr().err
    assert shell([*line, "--identity-weight", "0.01"]) == 2
    assert "arcface.pth" in capsys.readouterr().err
