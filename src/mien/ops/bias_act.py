"""Bias, noise, leaky ReLU (slope 0.2), gain and clamp: what follows every convolution of StyleGAN2."""

import torch.nn.functional as F
from torch import Tensor

from mien.ops.implementation import current

SLOPE = 0.2


def bias_act(
    x: Tensor,
    bias: Tensor | None,
    *,
    noise: Tensor | None = None,
    gain: float = 1.0,
    clamp: float | None = None,
    linear: bool = False,
) -> Tensor:
    """`clamp(gain * leaky_relu(x + noise + bias))`; `linear` leaves out the leaky ReLU.

    `x` is [N, C, ...], `bias` [C], `noise` broadcasts to `x`. The fast path may overwrite `x`: pass a fresh tensor.
    """
    shape = (1, -1) + (1,) * (x.ndim - 2)
    if current() == "plain":
        if noise is not None:
            x = x + noise.to(x.dtype)
        if bias is not None:
            x = x + bias.to(x.dtype).reshape(shape)
        x = x if linear else F.leaky_relu(x, SLOPE)
        x = x * gain
        return x if clamp is None else x.clamp(-clamp, clamp)

    # In place: a convolution does not need its output for its gradient, and leaky ReLU needs only its own.
    # The gain is positive, so it may go before the activation, onto the small tensors, where the caller has not used it up.
    if noise is not None:
        x = x.add_(noise.to(x.dtype))
    if bias is not None:
        x = x.add_(bias.to(x.dtype).reshape(shape))
    if gain != 1.0:
        x = x.mul_(gain)
    if not linear:
        x = F.leaky_relu_(x, SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)
