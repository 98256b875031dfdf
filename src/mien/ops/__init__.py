"""StyleGAN2's three formulas, each with a plain definition and a fast path (see `use_ops`)."""

from mien.ops.bias_act import bias_act
from mien.ops.fir_methods import methods_for
from mien.ops.implementation import Implementation, current, use_fir, use_ops
from mien.ops.modulated_conv import modulated_conv2d
from mien.ops.resample import downsample2, fir, resize, upsample2
from mien.runtime import FirMethod

__all__ = [
    "FirMethod",
    "Implementation",
    "bias_act",
    "current",
    "downsample2",
    "fir",
    "methods_for",
    "modulated_conv2d",
    "resize",
    "upsample2",
    "use_fir",
    "use_ops",
]
