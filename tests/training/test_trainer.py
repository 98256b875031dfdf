"""The adversarial step: every setting does what its name says; gradients add up; plans keep what they promise."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mien.errors import InputError
from mien.latents import Codes, broadcast
from mien.losses.structure import structure_loss
from mien.models.compact_encoder import CompactEncoder, CompactEncoderConfig
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.training.augment import AdaptiveAugment
from mien.training.config import AdversarialConfig, PlanConfig, ReconstructionConfig
from mien.training.degradations import degrade
from mien.training.distributed import stream_seed
from mien.training.encoder import Reconstruction
from mien.training.encoder_networks import grow_encoder, see_larger
from mien.training.freeze import make_plan, method, without_noise
from mien.training.networks import grow_discriminator, grow_generator
from mien.training.objectives import Networks
from mien.training.schedule import rate_factor, share_done
from mien.training.trainer import AdversarialTrainer
from mien.training.widening import widened_discriminator, widened_generator

R = 16
CPU = torch.device("cpu")
SMALL = AdversarialConfig(batch=4, learning_rate=1e-2, r1_interval=2, ema_kimg=0.01)


def networks(seed: int = 0, resolution: int = R) -> tuple[Generator, Discriminator]:
    torch.manual_seed(seed)
    g = GeneratorConfig(resolution, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8)
    return Generator(g), Discriminator(DiscriminatorConfig(resolution, 128, 8, mbstd_group=2))


def reals(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, 3, R, R, generator=generator).clamp(-1, 1)


def trainer(config: AdversarialConfig = SMALL, *, plan: PlanConfig | None = None, **more: Any) -> AdversarialTrainer:
    g, d = networks()
    draw = more.pop("draw", reals)
    taking_part = Networks(g, d, more.pop("reconstruction", None), more.pop("source", None))
    if plan is not None:
        more["plan"] = make_plan(plan, g, d, has_source=taking_part.source is not None)
    return AdversarialTrainer(taking_part, config, draw, **more)


def seeded(*name: Any) -> torch.Generator:
    """The random numbers of a micro-batch."""
    return torch.Generator().manual_seed(stream_seed(*name))


def small_encoder() -> CompactEncoder:
    torch.manual_seed(5)
    return CompactEncoder(CompactEncoderConfig(R, 6, 8, width=8, max_width=16))


def rebuilding(**values: Any) -> Reconstruction:
    return Reconstruction(small_encoder(), ReconstructionConfig(**{"share": 0.5, "learning_rate": 1e-2, **values}))


def snapshot(module: torch.nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: torch.nn.Module) -> set[str]:
    return {k for k, v in module.state_dict().items() if not torch.equal(v, before[k])}


def run(t: AdversarialTrainer, steps: int = 3) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in t.step().items()} for _ in range(steps)]


def test_a_step_trains_both_networks_and_moves_the_average() -> None:
    t = trainer(replace(SMALL, pl_weight=2.0))
    before = [snapshot(m) for m in (t.generator, t.discriminator, t.ema)]
    run(t)
    for old, module in zip(before, (t.generator, t.discriminator, t.ema), strict=True):
        left = {n for n, _ in module.named_parameters()} - changed(old, module)
        assert not left, f"not trained: {left}"
    assert t.images == 12
    assert t.steps == 3


def test_lazy_penalties_come_at_their_intervals() -> None:
    losses = run(trainer(replace(SMALL, pl_weight=1.0, pl_interval=3)), 7)
    assert [i for i, m in enumerate(losses) if "r1" in m] == [0, 2, 4, 6]
    assert [i for i, m in enumerate(losses) if "path_length" in m] == [0, 3, 6]
    none = run(trainer(replace(SMALL, r1_gamma=0.0)), 3)
    assert not any("r1" in m or "path_length" in m for m in none)


def test_the_discriminator_learns_to_tell() -> None:
    losses = run(trainer(replace(SMALL, r1_gamma=0.0)), 25)
    assert losses[-1]["real_logit"] > losses[-1]["fake_logit"]
    assert losses[-1]["discriminator"] < losses[0]["discriminator"]


def test_same_seed_same_numbers_other_seed_others() -> None:
    a, b, c = run(trainer(seed=1)), run(trainer(seed=1)), run(trainer(seed=2))
    assert a == b
    assert a != c


def test_streams_are_named_by_seed_step_phase_and_place() -> None:
    names = [(0, 0, "generator", 0), (1, 0, "generator", 0), (0, 1, "generator", 0), (0, 0, "r1", 0), (0, 0, "generator", 1)]
    drawn = [torch.rand(4, generator=seeded(*name)) for name in names]
    assert torch.equal(drawn[0], torch.rand(4, generator=seeded(*names[0])))
    assert all(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_micro_batches_add_up_to_the_batch() -> None:
    """With everything random fixed, two micro-batches give the gradient of one batch of the two halves."""
    t = trainer(replace(SMALL, batch=4, micro_batch=2, r1_gamma=0.0))
    assert t.rounds == 2
    t.step()
    # Repeat the discriminator phase by hand on a twin that has done the generator's phase.
    twin = trainer(replace(SMALL, batch=4, micro_batch=2, r1_gamma=0.0))
    twin.runner.run(twin.phases[0], 0)
    twin.discriminator.requires_grad_(True).zero_grad()
    losses = []
    for index in range(2):
        g = seeded(0, 0, "discriminator", index)
        seen = reals(2, g)
        with torch.no_grad():
            own, _, _ = twin.objectives.codes(2, g)
            fakes = twin.generator(own, twin.generator.synthesis.noise("random", 2, g))
        real, fake = twin.discriminator(seen), twin.discriminator(fakes)
        losses.append(torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(fake).mean())
    torch.stack(losses).mean().backward()
    for (name, mine), (_, other) in zip(t.discriminator.named_parameters(), twin.discriminator.named_parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.allclose(mine.grad, other.grad, atol=1e-6), name


def test_batches_that_do_not_split_are_refused() -> None:
    with pytest.raises(ValueError, match="does not split"):
        trainer(replace(SMALL, batch=4, micro_batch=3))


@pytest.mark.parametrize("penalties", [False, True])
def test_bf16_stays_close_to_float32(penalties: bool) -> None:
    exact = run(trainer(replace(SMALL, pl_weight=1.0)), 1)[0]
    close = run(trainer(replace(SMALL, pl_weight=1.0, bf16=True, bf16_penalties=penalties)), 1)[0]
    assert close.keys() == exact.keys()
    for name in ("generator", "discriminator", "r1", "path_length"):
        assert close[name] == pytest.approx(exact[name], rel=0.1, abs=0.02), name
    assert close != exact


def test_bf16_penalties_are_in_bf16_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    original = Discriminator.forward
    monkeypatch.setattr(Discriminator, "forward", lambda self, img, dtype: (seen.append(dtype), original(self, img, dtype))[1])
    run(trainer(replace(SMALL, bf16=True)), 1)
    assert seen == [torch.bfloat16] * 3 + [torch.float32]
    seen.clear()
    run(trainer(replace(SMALL, bf16=True, bf16_penalties=True)), 1)
    assert seen == [torch.bfloat16] * 4


def test_moving_average_has_the_half_life_and_warms_up() -> None:
    t = trainer(replace(SMALL, ema_kimg=0.004, ema_rampup=0.0))  # half-life: one batch
    before = snapshot(t.ema)
    t.step()
    for name, value in t.generator.named_parameters():
        assert torch.allclose(t.ema.state_dict()[name], (before[name] + value) / 2, atol=1e-6)
    t = trainer(replace(SMALL, ema_kimg=1e9, ema_rampup=0.05))  # warm-up: nearly the live network at first
    t.step()
    for name, value in t.generator.named_parameters():
        assert torch.allclose(t.ema.state_dict()[name], value, atol=1e-4)


def test_mean_code_follows_the_mapping() -> None:
    t = trainer(replace(SMALL, learning_rate=0.0))
    for _ in range(3000):
        w_mean = t.objectives.codes(64, seeded(0, t.steps, "x", 0))[2].detach().mean(dim=0)
        t.generator.mapping.w_avg.lerp_(w_mean, 0.002 * 64 / 32)
        t.steps += 1
    z = torch.randn(4096, 8)
    assert torch.allclose(t.generator.mapping.w_avg, t.generator.mapping(z).mean(dim=0).detach(), atol=0.05)


def test_mixing_probability() -> None:
    for probability in (0.0, 0.5, 1.0):
        t = trainer(replace(SMALL, mixing=probability))
        mixed = 0
        for step in range(200):
            codes, _, _ = t.objectives.codes(1, seeded(0, step, "x", 0))
            mixed += not torch.equal(codes[:, 0], codes[:, -1])
        assert mixed / 200 == pytest.approx(probability, abs=0.12)


class TestController:
    def strength(self, sign: float, config: AdversarialConfig, steps: int = 8, start: float = 0.3) -> float:
        t = trainer(config, augment=AdaptiveAugment(start))
        for _ in range(steps):
            t.steps += 1
            t._control(torch.tensor(sign))
        return t.ada_p

    def test_rises_above_the_target_and_falls_below(self) -> None:
        config = replace(SMALL, ada_kimg=1.0)  # a batch of 4: 0.004 per step
        assert self.strength(0.9, config) == pytest.approx(0.3 + 8 * 0.004)
        assert self.strength(0.2, config) == pytest.approx(0.3 - 8 * 0.004)
        assert self.strength(0.9, replace(config, ada_target=0.95)) < 0.3

    def test_acts_at_its_interval_only(self) -> None:
        config = replace(SMALL, ada_kimg=1.0, ada_interval=4)
        assert self.strength(0.9, config, steps=3) == pytest.approx(0.3)
        assert self.strength(0.9, config, steps=4) == pytest.approx(0.316)

    def test_speed_limits_and_switch(self) -> None:
        assert self.strength(0.9, replace(SMALL, ada_kimg=0.001)) == pytest.approx(0.8)
        assert self.strength(0.9, replace(SMALL, ada_kimg=0.001, ada_max=0.5)) == 0.5
        assert self.strength(0.0, replace(SMALL, ada_kimg=0.001)) == 0.0
        assert self.strength(0.9, replace(SMALL, ada_kimg=0.001, ada_target=0.0)) == pytest.approx(0.3)

    def test_runs_in_the_step(self) -> None:
        t = trainer(replace(SMALL, ada_kimg=0.05, ada_interval=1), augment=AdaptiveAugment(0.0))
        signs = [m["real_sign"] for m in run(t, 3)]
        expected = 0.0
        for sign in signs:
            expected = min(max(expected + (0.08 if sign > 0.6 else -0.08), 0.0), 0.8)
        assert t.ada_p == pytest.approx(expected)


class TestPlans:
    @pytest.mark.parametrize(
        ("config", "generator_frozen", "discriminator_frozen"),
        [
            (PlanConfig(freeze_d=1), (), ("fromrgb.", "b16.")),
            (PlanConfig(freeze_g=2), ("synthesis.b4.", "synthesis.b8."), ()),
            (PlanConfig(freeze_mapping=True), ("mapping.",), ()),
            (PlanConfig(freeze_d=2, freeze_g=1, freeze_styles=1), ("synthesis.b4.",), ("fromrgb.", "b16.", "b8.")),
            (PlanConfig(structure=1, freeze_d=1), (), ("fromrgb.", "b16.")),
        ],
    )
    def test_frozen_parameters_are_bit_identical_and_the_others_move(
        self, config: PlanConfig, generator_frozen: tuple[str, ...], discriminator_frozen: tuple[str, ...]
    ) -> None:
        source, _ = networks(5)
        t = trainer(replace(SMALL, pl_weight=1.0), plan=config, source=source)
        parts = ((t.generator, generator_frozen), (t.ema, generator_frozen), (t.discriminator, discriminator_frozen))
        before = [snapshot(m) for m, _ in parts]
        run(t, 4)
        for old, (module, frozen) in zip(before, parts, strict=True):
            moved = changed(old, module)
            names = {n for n, _ in module.named_parameters()}
            still = {n for n in names if n.startswith(frozen)} if frozen else set()
            assert bool(still) == bool(frozen)
            assert not moved & still
            assert names - still <= moved

    def test_plan_text_names_blocks_and_rows(self) -> None:
        g, d = networks()
        text = make_plan(PlanConfig(freeze_d=1, freeze_g=2, freeze_styles=2, structure=1), g, d, has_source=True).text
        assert "frozen blocks: 4, 8 px" in text
        assert "frozen blocks: 16 px and fromRGB" in text
        assert "0 to 2 of 6" in text
        assert "structure loss: 8 px, weight 1, on features" in text

    def test_too_many_blocks_and_a_missing_source_are_refused(self) -> None:
        g, d = networks()
        for config, word in (
            (PlanConfig(freeze_d=3), "freeze_d"), (PlanConfig(freeze_g=3), "freeze_g"), (PlanConfig(structure=-1), "structure"),
        ):  # fmt: skip
            with pytest.raises(InputError, match=word):
                make_plan(config, g, d, has_source=True)
        with pytest.raises(InputError, match="give source"):
            make_plan(PlanConfig(structure=1), g, d, has_source=False)
        with pytest.raises(InputError, match="no method"):
            method("freezeG", 64)

    def test_methods_at_256_px_are_the_authors(self) -> None:
        assert method("freeze-sg", 256).freeze_styles == method("freeze-sg", 256).freeze_g == 4
        assert method("structure", 256).structure == 3
        assert method("baseline", 64) == PlanConfig(freeze_d=2)
        for resolution in (16, 32, 64, 128):
            g, d = networks(resolution=resolution)
            for name in ("baseline", "freeze-g", "freeze-sg", "structure"):
                assert make_plan(method(name, resolution), g, d, has_source=True).text

    @pytest.mark.parametrize("mixing", [0.0, 1.0])
    def test_freeze_sg_takes_low_rows_from_the_source_with_and_without_mixing(self, mixing: float) -> None:
        source, _ = networks(5)
        plan = PlanConfig(freeze_g=2, freeze_styles=2)
        t = trainer(replace(SMALL, mixing=mixing), plan=plan, source=source)
        free = trainer(replace(SMALL, mixing=mixing))
        run(t, 2)
        for step in range(10):

            def random(step: int = step) -> torch.Generator:
                return seeded(0, step, "generator", 0)

            free.generator.load_state_dict(t.generator.state_dict())
            own, of_source, _ = t.objectives.codes(4, random())
            plain, _, _ = free.objectives.codes(4, random())
            assert of_source is not None
            assert torch.equal(own[:, :3], of_source[:, :3])
            assert not torch.allclose(own[:, :3], plain[:, :3])
            assert torch.equal(own[:, 3:], plain[:, 3:])
            z = torch.randn(8, 8, generator=random())
            assert torch.allclose(of_source[:, 0], source.mapping(z[:4]), atol=1e-6)


class TestStructureLoss:
    def loss(self, source: Generator, target: Generator, **more: Any) -> Tensor:
        g = torch.Generator().manual_seed(0)
        codes = broadcast(source.mapping(torch.randn(3, 8, generator=g)), source.num_ws)
        noise = target.synthesis.noise("random", 3, g)
        return structure_loss(source.synthesis, target.synthesis, codes, codes, noise, more.pop("resolutions", (8, 16)), **more)

    @pytest.mark.parametrize("on", ["features", "rgb"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_two_separate_equal_generators_give_exactly_zero(self, on: str, dtype: torch.dtype) -> None:
        assert self.loss(networks(1)[0], networks(1)[0], on=on, dtype=dtype).item() == 0.0
        assert self.loss(networks(1)[0], networks(2)[0], on=on, dtype=dtype).item() > 0.0

    def test_is_the_sum_of_mean_squares_over_blocks(self) -> None:
        a, b = networks(1)[0], networks(2)[0]
        both, low, high = (self.loss(a, b, resolutions=r) for r in ((8, 16), (8,), (16,)))
        assert torch.allclose(both, low + high)

    def test_only_the_target_up_to_the_largest_block_gets_a_gradient(self) -> None:
        source, target = networks(1)[0], networks(2)[0]
        source.requires_grad_(True)
        self.loss(source, target, resolutions=(8,)).backward()
        assert all(p.grad is None for p in source.synthesis.parameters())
        reached = {n.split(".")[0] for n, p in target.synthesis.named_parameters() if p.grad is not None}
        assert reached == {"b4", "b8"}

    def test_rgb_compares_images_and_reaches_torgb(self) -> None:
        target = networks(2)[0]
        self.loss(networks(1)[0], target, resolutions=(16,), on="rgb").backward()
        assert target.synthesis.block(4).torgb.weight.grad is not None
        full = self.loss(networks(1)[0], networks(2)[0], resolutions=(16,), on="rgb")
        g = torch.Generator().manual_seed(0)
        codes = broadcast(networks(1)[0].mapping(torch.randn(3, 8, generator=g)), 6)
        noise = networks(1)[0].synthesis.noise("random", 3, g)
        images = [networks(seed)[0](codes, noise) for seed in (1, 2)]
        assert torch.allclose(full, (images[0] - images[1]).square().mean())

    def test_in_training_equal_networks_start_at_zero_and_the_weight_matters(self) -> None:
        def structures(weight: float, code: str = "source") -> list[float]:
            plan = PlanConfig(structure=2, structure_weight=weight, structure_code=code)  # type: ignore[arg-type]
            return [m["structure"] for m in run(trainer(plan=plan, source=networks()[0]), 8)]

        light, heavy = structures(0.0), structures(100.0)
        assert light[0] == heavy[0] == 0.0
        assert heavy[-1] < light[-1]
        assert structures(1.0, "own")[1] != structures(1.0)[1]


def test_growing_keeps_the_image_and_the_old_weights() -> None:
    g, d = networks()
    bigger, judge = grow_generator(g, 32), grow_discriminator(d, 32)
    codes = broadcast(g.mapping(torch.randn(2, 8)), g.num_ws)
    small = g(codes, g.synthesis.noise("none"))
    large = bigger(broadcast(codes[:, 0], bigger.num_ws), bigger.synthesis.noise("none"))
    assert torch.allclose(torch.nn.functional.avg_pool2d(large, 2)[..., 1:-1, 1:-1], small[..., 1:-1, 1:-1], atol=0.2)
    assert all(torch.equal(bigger.state_dict()[k], v) for k, v in g.state_dict().items())
    assert all(torch.equal(judge.state_dict()[k], v) for k, v in d.state_dict().items() if not k.startswith("fromrgb"))


def test_a_grown_discriminator_judges_the_smaller_image_as_before() -> None:
    torch.manual_seed(0)
    d = Discriminator(DiscriminatorConfig(R, 1024, 32, mbstd_group=2))
    for _ in range(2):  # the second time, the new fromRGB has half as many maps
        grown = grow_discriminator(d, d.config.resolution * 2)
        blobs = torch.rand(16, 3, 4, 4, generator=torch.Generator().manual_seed(3)) * 2 - 1
        large = torch.nn.functional.interpolate(blobs, size=grown.config.resolution, mode="bicubic")
        with torch.no_grad():
            before, after = d(torch.nn.functional.avg_pool2d(large, 2))[:, 0], grown(large)[:, 0]
        assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.9
        assert grown.block(grown.config.resolution).conv1.weight.abs().max() == 0
        d = grown


def test_a_grown_encoder_answers_as_before() -> None:
    encoder = small_encoder()
    grown = grow_encoder(encoder, 9)
    start = torch.zeros(2, 9, 8)
    images = reals(2, torch.Generator().manual_seed(0))
    before, after = encoder(images, start[:, :6]), grown(images, start)
    assert torch.allclose(after[:, :6], before, atol=1e-6)
    assert torch.allclose(after[:, 6:], before[:, 5:].expand(-1, 3, -1), atol=1e-6)
    assert grow_encoder(grown, 6).config == encoder.config


@pytest.mark.parametrize(
    "make",
    [
        lambda: trainer(augment=AdaptiveAugment(0.4)),
        lambda: trainer(replace(SMALL, pl_weight=1.0)),
        lambda: trainer(reconstruction=rebuilding()),
    ],
)
def test_restored_state_goes_on_as_if_uninterrupted(make: Callable[[], AdversarialTrainer]) -> None:
    straight, first, second = make(), make(), make()
    expected = run(straight, 6)
    assert run(first, 3) == expected[:3]
    tensors, document = first.state()
    second.restore({k: v.clone() for k, v in tensors.items()}, document)
    assert run(second, 3) == expected[3:]
    for a, b in ((straight.ema, second.ema), (straight.discriminator, second.discriminator)):
        assert not changed(snapshot(a), b)


def test_state_without_moments_is_smaller_and_another_run() -> None:
    t, fresh = trainer(), trainer()
    run(t, 2)
    tensors, document = t.state(moments=False)
    full, _ = t.state()
    assert sum(v.numel() for v in tensors.values()) < 0.7 * sum(v.numel() for v in full.values())
    fresh.restore({k: v.clone() for k, v in tensors.items()}, document)
    mine, other = run(fresh, 1)[0], run(t, 1)[0]
    assert mine["generator"] == other["generator"]  # it comes before Adam
    assert mine["discriminator"] != other["discriminator"]


def faces_like(count: int, generator: torch.Generator) -> Tensor:
    """Plain colors: something that an encoder can learn in a few steps."""
    return (torch.rand(count, 3, 1, 1, generator=generator) * 2 - 1).expand(-1, -1, R, R).contiguous()


@pytest.mark.slow
def test_an_encoder_beside_the_generator_learns_to_reconstruct() -> None:
    t = trainer(reconstruction=rebuilding(degraded_share=0.0), draw=faces_like)
    assert t.reconstruction is not None
    before = [snapshot(m) for m in (t.reconstruction.encoder, t.reconstruction.ema)]
    losses = [t.step() for _ in range(60)]
    assert {"pixels", "features", "prior", "flat"} <= losses[0].keys()
    first, last = (float(torch.stack([m["pixels"] for m in part]).mean()) for part in (losses[:5], losses[-5:]))
    assert last < 0.8 * first
    for old, module in zip(before, (t.reconstruction.encoder, t.reconstruction.ema), strict=True):
        assert changed(old, module)


def test_weights_of_the_reconstruction_do_what_they_say() -> None:
    images, codes = reals(2, torch.Generator().manual_seed(0)), Codes(torch.randn(2, 6, 8), torch.randn(2, 8, 8, 8))
    _, d = networks()
    args = (images * 0.5, images, codes, torch.randn(4, 8), torch.zeros(8), d, torch.float32)
    with torch.no_grad():
        plain = rebuilding().losses(*args)
        doubled = rebuilding(pixels=8.0, features=2.0, prior=0.04, flat=0.04, feature_code=0.006).losses(*args)
    assert {k: float(v) for k, v in doubled.items()} == pytest.approx({k: 2 * float(v) for k, v in plain.items()}, rel=1e-5)
    assert "features" not in rebuilding(features=0.0).losses(*args)
    known = Reconstruction(small_encoder(), ReconstructionConfig(share=0.5, identity=1.0), lambda x: x.flatten(1)[:, :1].sign())
    assert float(known.losses(*args)["identity"]) == 0.0
    with pytest.raises(ValueError, match="identity network"):
        rebuilding(identity=1.0)


@pytest.mark.parametrize(("share", "batch", "expected"), [(0.5, 8, 4), (0.01, 8, 1), (0.99, 8, 7), (0.25, 8, 2)])
def test_the_share_of_reconstructions(share: float, batch: int, expected: int) -> None:
    assert rebuilding(share=share).count(batch) == expected


def test_a_model_without_noise_stays_without() -> None:
    g, d = networks()
    for name, p in g.named_parameters():
        if name.endswith("noise_strength"):
            p.data.fill_(0.3)
    t = AdversarialTrainer(Networks(g, d), replace(SMALL, noise=False), reals)
    run(t)
    strengths = [p for name, p in [*g.named_parameters(), *t.ema.named_parameters()] if name.endswith("noise_strength")]
    assert strengths
    assert all(float(p) == 0 for p in strengths)


def test_degraded_images_are_darkened_blurred_drawn_over_but_not_moved() -> None:
    x = torch.linspace(-0.5, 0.5, 32).expand(64, 3, 32, 32).contiguous()
    assert torch.equal(degrade(x, 0.0, torch.Generator().manual_seed(0)), x)
    all_, half = (degrade(x, share, torch.Generator().manual_seed(0)) for share in (1.0, 0.5))
    assert torch.equal(all_, degrade(x, 1.0, torch.Generator().manual_seed(0)))
    assert all_.abs().max() <= 1
    changed = [int((y != x).flatten(1).any(dim=1).sum()) for y in (all_, half)]
    assert 56 <= changed[0] <= 64
    assert 20 <= changed[1] <= 44
    # A bright square in the middle stays where it was: its columns are brighter than the outer ones, or darker in a drawing.
    square = torch.full((64, 3, 32, 32), -0.8)
    square[..., 12:20, 12:20] = 0.8
    y = degrade(square, 1.0, torch.Generator().manual_seed(1))
    contrast = (y - y.mean(dim=(1, 2, 3), keepdim=True)).abs().mean(dim=1)
    inside, outside = contrast[:, 10:22, 10:22].mean(dim=(1, 2)), contrast[:, :8, :].mean(dim=(1, 2))
    assert (inside > outside).float().mean() > 0.9


# --- one step for all devices ---------------------------------------------------------------------------------------------


def complete(device: torch.device = CPU, **more: Any) -> AdversarialTrainer:
    """A trainer with everything that a step can have at once: an encoder, noise, augmentation, both lazy penalties."""
    g, d = networks()
    for p in without_noise(g):
        g.get_parameter(p).data.fill_(0.1)
    rebuilt = rebuilding(degraded_share=0.5)
    rebuilt.encoder.to(device)
    rebuilt.ema.to(device)
    config = replace(SMALL, batch=8, micro_batch=4, pl_weight=1.0, pl_interval=2, noise_from=8, ada_kimg=0.5, **more)
    made = AdversarialTrainer(
        Networks(g.to(device), d.to(device), rebuilt), config,
        lambda n, random: torch.randn(n, 3, R, R, generator=random, device=random.device).clamp(-1, 1),
        augment=AdaptiveAugment(0.5),
    )  # fmt: skip
    return made


def test_a_step_fit_for_graphs_equals_the_plain_one() -> None:
    plain, fixed = complete(), complete()
    assert fixed.augment is not None
    fixed.augment.fixed_shapes = True
    for _ in range(4):
        a, b = plain.step(), fixed.step()
        assert a.keys() == b.keys()
        for name in a:
            assert torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-5), name
    for mine, other in ((plain.ema, fixed.ema), (plain.discriminator, fixed.discriminator)):
        for name, value in mine.state_dict().items():
            assert torch.allclose(value, other.state_dict()[name], atol=2e-3), name
    assert plain.ada_p == pytest.approx(fixed.ada_p)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_replayed_graphs_equal_eager_steps() -> None:
    """The same numbers up to the order of sums; recording changes neither weights nor what is drawn."""
    device = torch.device("cuda")
    eager, replayed = complete(device), complete(device)
    assert eager.augment is not None
    eager.augment.fixed_shapes = True
    replayed.use_graphs()
    for step in range(4):
        a, b = eager.step(), replayed.step()
        assert all(phase.graph is not None for phase in replayed.phases)
        assert a.keys() == b.keys()
        for name in a.keys() - {"real_sign"}:  # a logit near 0 may fall on either side
            assert torch.allclose(a[name], b[name], rtol=2e-2, atol=2e-3), (step, name, a[name], b[name])
    assert eager.ada_p == pytest.approx(replayed.ada_p)
    for mine, other in ((eager.ema, replayed.ema), (eager.discriminator, replayed.discriminator)):
        for name, value in mine.state_dict().items():
            assert torch.allclose(value, other.state_dict()[name], atol=0.02), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_state_goes_on_with_graphs() -> None:
    device = torch.device("cuda")
    first, second = complete(device), complete(device)
    for t in (first, second):
        t.use_graphs()
    for _ in range(3):
        first.step()
    tensors, document = first.state()
    second.restore({k: v.clone() for k, v in tensors.items()}, document)
    a, b = first.step(), second.step()
    assert all(torch.allclose(a[name], b[name], rtol=2e-2, atol=2e-3) for name in a)


def test_only_own_faces_teach_the_noise_strengths() -> None:
    t = complete()
    codes = Codes(torch.randn(2, t.generator.num_ws, 8), torch.zeros(2, 8, 8, 8))
    own = torch.randn(2, t.generator.num_ws, 8)
    noise = t.objectives.noise(4, torch.Generator().manual_seed(0))
    images = t.objectives.generate(own, codes, noise)
    plain = t.generator(torch.cat([own, codes.w_plus]), noise)
    assert torch.allclose(images, plain, atol=1e-6)
    strengths = [p for n, p in t.generator.named_parameters() if n.endswith("noise_strength") and p.requires_grad]
    taught = torch.autograd.grad(images[:2].square().sum(), strengths, retain_graph=True)
    assert all(float(g.abs()) > 0 for g in taught)
    untaught = torch.autograd.grad(images[2:].square().sum(), strengths, retain_graph=True)
    assert all(float(g) == 0 for g in untaught)
    assert t.generator.synthesis.block(8).conv0.noise_strength.requires_grad


def test_noise_begins_at_its_resolution_and_new_blocks_are_silent() -> None:
    t = complete()
    sizes = [None if m is None else m.shape[-1] for m in t.objectives.noise(2, torch.Generator().manual_seed(0))]
    assert sizes == [None, 8, 8, 16, 16]
    assert float(t.generator.synthesis.block(4).conv1.noise_strength) == 0
    run(t, 2)
    assert float(t.generator.synthesis.block(4).conv1.noise_strength) == 0
    assert float(t.generator.synthesis.block(8).conv0.noise_strength) not in (0.0, pytest.approx(0.1, abs=1e-7))
    grown = grow_generator(t.generator, 32).synthesis
    assert all(not bool(grown.layer(name).noise_strength) for name in ("32up", "32conv"))
    assert float(grown.layer("8up").noise_strength) == float(t.generator.synthesis.block(8).conv0.noise_strength)


# --- learning rates -------------------------------------------------------------------------------------------------------


def test_rates_rise_after_a_fresh_start_and_fall_towards_the_end() -> None:
    config = replace(SMALL, warmup_steps=4, decay_share=0.5, decay_floor=0.1)
    assert [rate_factor(config, k, None) for k in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert [rate_factor(config, 100, d) for d in (0.0, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.5, 0.1]
    assert rate_factor(config, 0, 0.75) == 0.125
    assert rate_factor(SMALL, 0, 0.99) == 1.0
    assert share_done(500, 1.0, 0.0, None) == 0.5
    assert share_done(500, 1.0, 9.0, 10.0) == 0.9
    assert share_done(500, 0.0, 1.0, None) is None
    assert share_done(5000, 1.0, 0.0, None) == 1.0


def test_the_rate_reaches_every_optimizer() -> None:
    t = complete()
    full = {name: adam.full_rate for name, adam in t.adams.items()}
    t.step(0.25)
    for name, adam in t.adams.items():
        assert [group["lr"] for group in adam.param_groups] == [pytest.approx(0.25 * full[name])], name
    before = snapshot(t.generator)
    t.step(0.0)
    assert changed(before, t.generator) == {"mapping.w_avg"}


# --- larger and wider networks --------------------------------------------------------------------------------------------


def test_an_encoder_that_sees_larger_images_answers_nearly_alike() -> None:
    torch.manual_seed(5)
    encoder = CompactEncoder(CompactEncoderConfig(32, 6, 8, width=32, max_width=64, detail_channels=8)).eval()
    torch.nn.init.normal_(encoder.detail.out.weight, std=0.1)
    # A trained stem has few strong filters; one at random has as many as there can be, and half of them must go.
    u, sizes, v = torch.linalg.svd(encoder.stem.weight.detach().flatten(1), full_matrices=False)
    encoder.stem.weight.data = (u[:, :12] * sizes[:12] @ v[:12]).view(32, 3, 3, 3)
    # Smooth, as faces are: what lies above the old encoder's pixels it never saw.
    large = torch.nn.functional.interpolate(torch.randn(8, 3, 8, 8), size=64, mode="bicubic").clamp(-1, 1)
    small = torch.nn.functional.avg_pool2d(large, 2)
    start = torch.zeros(8, 6, 8)
    with torch.no_grad():
        before, feature_code = encoder.look(small, start)
        after, more = see_larger(encoder).look(large, start)
    assert see_larger(encoder).config == replace(encoder.config, resolution=64, width=16)
    assert feature_code is not None
    assert more is not None
    for old, new in ((before, after), (feature_code, more)):
        spread = (old - old.mean(dim=0)).square().mean().sqrt()
        assert float((old - new).square().mean().sqrt() / spread) < 0.35
    states = [see_larger(encoder).state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0]), "it must be repeatable"


def test_an_encoder_too_narrow_to_be_grown_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be grown"):
        see_larger(small_encoder())


def test_widened_networks_compute_the_same() -> None:
    g, d = networks()
    for name in without_noise(g):
        g.get_parameter(name).data.fill_(0.2)
    torch.manual_seed(1)
    wide, judge = widened_generator(g, 2), widened_discriminator(d, 2)
    assert wide.config.channels(8) == 2 * g.config.channels(8)
    codes = broadcast(g.mapping(torch.randn(4, 8)), g.num_ws)
    noise = g.synthesis.noise("random", 4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(wide(codes, noise), g(codes, noise), atol=1e-4)
        x = reals(16, torch.Generator().manual_seed(0))
        before, after = d(x)[:, 0], judge(x)[:, 0]
    assert torch.corrcoef(torch.stack([before, after]))[0, 1] > 0.99
    assert float((before - after).abs().mean()) < 0.5 * float(before.std())


def test_states_of_before_tell_less_and_go_on() -> None:
    t, other = trainer(augment=AdaptiveAugment(0.4)), trainer(augment=AdaptiveAugment(0.0))
    run(t, 3)
    tensors, document = t.state()
    del document["fresh_since"]
    other.restore({k: v.clone() for k, v in tensors.items()}, document)
    assert other.fresh_since == 0
    assert run(other, 2) == run(t, 2)
    light = trainer(augment=AdaptiveAugment(0.0))
    light.restore({k: v.clone() for k, v in tensors.items()}, {**document, "moments": False})
    assert light.fresh_since == 3, "its optimizers begin afresh"
