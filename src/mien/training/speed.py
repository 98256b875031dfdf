"""How fast training is: real images per wall second of the whole loop, and the share of the machine's convolution peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mien.media.image_dataset import Dataset
from mien.models.discriminator import Discriminator, DiscriminatorConfig
from mien.models.generator import Generator, GeneratorConfig
from mien.ops import FirMethod, methods_for, use_fir
from mien.runtime import Progress, wait_for
from mien.training.augment import AdaptiveAugment
from mien.training.config import SIZES, AdversarialConfig, TrainSpeedConfig
from mien.training.cuda_graphs import uses_graphs
from mien.training.filter_choice import FirTime, check_method, choose, time_methods
from mien.training.objectives import Networks
from mien.training.trainer import AdversarialTrainer

# The lazy parts come every 16 and 8 steps: a whole number of rounds of both.
_PERIOD = 16


@dataclass(frozen=True)
class TrainSpeed:
    """Measured speeds; images are real images shown, seconds are wall seconds."""

    steps_only: float
    """Images per second with one step of each network, data and moving average, and nothing else."""
    whole_loop: float
    """The same with lazy R1, path length and ADA at strength 0.3."""
    gigaflop: float
    """Arithmetic of convolutions and matrix products per image, in thousand million operations, of the plain steps."""
    peak: float
    """The fastest convolution that was found, thousand million operations per second."""
    fir: FirMethod
    """The method of the low-pass filter."""

    @property
    def share(self) -> float:
        """How much of the convolution peak the plain steps reach."""
        return self.steps_only * self.gigaflop / self.peak


def measure_training(config: TrainSpeedConfig, device: torch.device, progress: Progress | None = None) -> TrainSpeed:
    """Train with random weights and images: the speed does not depend on the values.

    Raises `InputError` for a method of the low-pass filter that the device cannot run.
    """
    method = config.fir if config.fir != "auto" else _fastest(config, device)
    check_method(method, device)
    with use_fir(method):
        return _measure(config, method, device, progress)


def time_filters(config: TrainSpeedConfig, device: torch.device) -> list[FirTime]:
    """What each method of the low-pass filter takes in a training step, the fastest first; in about a minute."""
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    return time_methods(config.resolution, SIZES[config.size], config.batch, device, dtype)


def _fastest(config: TrainSpeedConfig, device: torch.device) -> FirMethod:
    return choose(time_filters(config, device)) if device.type == "cuda" else methods_for(device)[0]


def _measure(config: TrainSpeedConfig, method: FirMethod, device: torch.device, progress: Progress | None) -> TrainSpeed:
    report = progress or (lambda done, total, loss: None)
    total = 2 * config.iterations
    plain = AdversarialConfig(batch=config.batch, bf16=config.bf16, r1_gamma=0.0, mixing=0.9)
    whole = AdversarialConfig(batch=config.batch, bf16=config.bf16, pl_weight=2.0, r1_interval=_PERIOD, ada_target=0.0)
    data = Dataset(
        torch.randint(0, 256, (512, 3, config.resolution, config.resolution), dtype=torch.uint8).to(device),
        torch.ones(512), [str(i) for i in range(512)],
    )  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        _trainer(config, plain, None, data).step()
    graphs = uses_graphs(config.cuda_graphs, device, resident=True)
    speeds: list[float] = []
    for loop, augment in ((plain, None), (whole, AdaptiveAugment(0.3))):
        trainer = _trainer(config, loop, augment, data)
        if graphs:
            trainer.use_graphs()
        before = len(speeds) * config.iterations

        def tell(done: int, before: int = before) -> None:
            report(before + done, total, 0.0)

        speeds.append(_speed(trainer, config, tell))
    peak = _convolution_peak(device, torch.bfloat16 if config.bf16 else torch.float32)
    return TrainSpeed(speeds[0], speeds[1], counter.get_total_flops() / config.batch / 1e9, peak, method)


def _trainer(
    config: TrainSpeedConfig, loop: AdversarialConfig, augment: AdaptiveAugment | None, data: Dataset
) -> AdversarialTrainer:
    n, device = SIZES[config.size], data.pixels.device
    widths = {"channel_base": n.channel_base, "channel_max": n.channel_max}
    generator = Generator(GeneratorConfig(config.resolution, n.z_dim, n.w_dim, n.mapping_layers, **widths))
    discriminator = Discriminator(DiscriminatorConfig(config.resolution, **widths, mbstd_group=n.mbstd_group))
    return AdversarialTrainer(Networks(generator.to(device), discriminator.to(device)), loop, data.batch, augment=augment)


def _speed(trainer: AdversarialTrainer, config: TrainSpeedConfig, tell: Callable[[int], None]) -> float:
    for _ in range(2):
        trainer.step()
    trainer.steps = 0  # so that the lazy parts come as often as in a long run
    wait_for(trainer.device)
    begun = time.perf_counter()
    for done in range(config.iterations):
        trainer.step()
        tell(done + 1)
    wait_for(trainer.device)
    return config.iterations * config.batch / (time.perf_counter() - begun)


@torch.no_grad()
def _convolution_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The best of a few large 3 x 3 convolutions, channels last."""
    best = 0.0
    for channels, size in ((128, 64), (256, 32)):
        x: Tensor = torch.randn(16, channels, size, size, device=device, dtype=dtype).contiguous(
            memory_format=torch.channels_last
        )
        weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
        work = 2 * x.numel() * channels * 9
        for _ in range(3):
            wait_for(device)
            begun = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            wait_for(device)
            best = max(best, work / (time.perf_counter() - begun) / 1e9)
    return best
