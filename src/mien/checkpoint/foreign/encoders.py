"""Published IR-SE50 networks: the encoders of pSp, e4e and ReStyle, and the ArcFace identity network.

Their files are `{"state_dict": {"encoder.*", "decoder.*"}, "latent_avg": [rows, 512], "opts": {...}}`, or bare state dicts.
pSp and e4e have the same names and shapes, as have the two of ReStyle: only `opts` (or the caller) can tell which it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from torch import Tensor, nn

from mien.checkpoint.foreign.deduce import shape, tensors_of
from mien.checkpoint.foreign.pickled_values import Record
from mien.checkpoint.model_file import load_strictly, unfilled
from mien.errors import CheckpointError, InputError, shown
from mien.models.embedders import ArcFace
from mien.models.irse_encoder import EncoderKind, IrseEncoder, IrseEncoderConfig

# `opts.encoder_type` of the published training codes.
_ENCODER_TYPES: dict[str, EncoderKind] = {
    "GradualStyleEncoder": "psp",
    "Encoder4Editing": "e4e",
    "BackboneEncoder": "restyle-psp",
    "ProgressiveBackboneEncoder": "restyle-e4e",
}
_RENAMED = (
    (r"^input_layer\.0\.", "backbone.stem.conv."),
    (r"^input_layer\.1\.", "backbone.stem.norm."),
    (r"^input_layer\.2\.", "backbone.stem.act."),
    (r"^body\.(\d+)\.res_layer\.0\.", r"backbone.body.\1.norm0."),
    (r"^body\.(\d+)\.res_layer\.1\.", r"backbone.body.\1.conv0."),
    (r"^body\.(\d+)\.res_layer\.2\.", r"backbone.body.\1.act."),
    (r"^body\.(\d+)\.res_layer\.3\.", r"backbone.body.\1.conv1."),
    (r"^body\.(\d+)\.res_layer\.4\.", r"backbone.body.\1.norm1."),
    (r"^body\.(\d+)\.res_layer\.5\.fc1\.", r"backbone.body.\1.squeeze."),
    (r"^body\.(\d+)\.res_layer\.5\.fc2\.", r"backbone.body.\1.excite."),
    (r"^body\.(\d+)\.shortcut_layer\.0\.", r"backbone.body.\1.shortcut."),
    (r"^body\.(\d+)\.shortcut_layer\.1\.", r"backbone.body.\1.shortcut_norm."),
    (r"^styles\.(\d+)\.linear\.", r"rows.\1.linear."),
    (r"^latlayer1\.", "lateral_middle."),
    (r"^latlayer2\.", "lateral_fine."),
    (r"^output_layer\.0\.", "norm0."),
    (r"^output_layer\.3\.", "linear."),
    (r"^output_layer\.4\.", "norm1."),
)
_MAX_ROWS = 32


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder with what its file says about it."""

    encoder: IrseEncoder
    latent_avg: Tensor | None
    """The mean code [num_ws, w_dim] that its offsets are added to; None where the file has none (a bare state dict)."""
    opts: dict[str, Any] = field(default_factory=dict)
    """The settings it was trained with, as far as they are plain values."""

    @property
    def kind(self) -> EncoderKind:
        """Which published encoder it is."""
        return self.encoder.config.kind


@dataclass(frozen=True)
class EncoderParts:
    """What one file holds, in its own naming."""

    tensors: dict[str, Tensor]
    latent_avg: Tensor | None
    opts: dict[str, Any]


def find_encoder(tree: Any) -> EncoderParts | None:
    """The encoder in a file's contents, or None."""
    if not isinstance(tree, dict):
        return None
    state = tensors_of(tree.get("state_dict")) or tensors_of(tree)
    if state is None:
        return None
    inner = {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}
    tensors = inner or state
    if not any(name.startswith("styles.") for name in tensors):
        return None
    opts = tree.get("opts")
    values = opts.fields() if isinstance(opts, Record) else opts
    plain = {str(k): v for k, v in values.items() if isinstance(v, (str, int, float, bool))} if isinstance(values, dict) else {}
    mean = tree.get("latent_avg")
    return EncoderParts(tensors, mean if isinstance(mean, Tensor) else None, plain)


def find_identity(tree: Any) -> dict[str, Tensor] | None:
    """The tensors of an ArcFace IR-SE50 in a file's contents, or None."""
    state = tensors_of(tree) or tensors_of(tree.get("state_dict") if isinstance(tree, dict) else None)
    return state if state is not None and "output_layer.3.weight" in state and "input_layer.0.weight" in state else None


def possible_kinds(parts: EncoderParts, what: str) -> tuple[EncoderKind, ...]:
    """Which published encoder it is: one by its options, two where nothing but the shapes tells.

    Raises `CheckpointError` for an encoder that is none of them.
    """
    if "input_layer.0.weight" not in parts.tensors:
        raise CheckpointError(f"{what} has a backbone other than IR-SE50 (ResNet-34?), which mien does not support.")
    channels = shape(parts.tensors, "input_layer.0.weight", 4, what)[1]
    by_channels: dict[int, tuple[EncoderKind, ...]] = {3: ("psp", "e4e"), 6: ("restyle-psp", "restyle-e4e")}
    if channels not in by_channels:
        raise CheckpointError(f"{what} takes images of {channels} channels; pSp and e4e take 3, ReStyle takes 6.")
    named = parts.opts.get("encoder_type")
    if named is None:
        return by_channels[channels]
    found = _ENCODER_TYPES.get(str(named))
    if found not in by_channels[channels]:
        raise CheckpointError(
            f"{what} is of the type {shown(named)} with {channels} input channels, which mien does not support."
        )
    return (found,)


def kind_of(parts: EncoderParts, what: str, kind: str | None = None) -> EncoderKind:
    """Which published encoder it is; `kind` decides where the file cannot tell, and must agree where it can."""
    if kind is not None and kind not in get_args(EncoderKind):
        raise InputError(f"There is no kind of encoder {kind!r}: choose one of {', '.join(get_args(EncoderKind))}.")
    possible = possible_kinds(parts, what)
    if kind is None and len(possible) > 1:
        one, other = possible
        raise CheckpointError(
            f"{what} does not say whether it is {one} or {other} (their weights have the same names and shapes): "
            f"say its `kind`, {one} or {other}."
        )
    for option in possible:
        if kind in (None, option):
            return option
    raise CheckpointError(f"{what} is {' or '.join(possible)}, not {kind}: change or leave out `kind`.")


def build_encoder(parts: EncoderParts, kind: EncoderKind, what: str) -> LoadedEncoder:
    """The encoder from its tensors."""
    rows = {int(m[1]) for name in parts.tensors if (m := re.match(r"styles\.(\d{1,3})\.", name))}
    if rows != set(range(len(rows))) or len(rows) > _MAX_ROWS:
        raise CheckpointError(f"{what} is damaged: its rows are {sorted(rows)[:3]} ... {max(rows)}.")
    width = shape(parts.tensors, "input_layer.0.weight", 4, what)[0]
    config = IrseEncoderConfig(kind=kind, num_ws=len(rows), width=_width(width, what))
    with unfilled():
        encoder = IrseEncoder(config)
    _load(encoder, parts.tensors, what)
    mean = parts.latent_avg
    if mean is not None:
        mean = mean.float().reshape(-1, mean.shape[-1]) if mean.ndim else mean
        if mean.ndim != 2 or mean.shape[0] not in (1, config.num_ws) or mean.shape[1] != config.w_dim:
            raise CheckpointError(
                f"{what} has a mean code of shape {list(mean.shape)}; it needs [{config.num_ws}, {config.w_dim}]."
            )
        mean = mean.expand(config.num_ws, -1).clone()
    encoder.latent_avg = mean
    return LoadedEncoder(encoder, mean, parts.opts)


def build_identity(tensors: Mapping[str, Tensor], what: str) -> ArcFace:
    """The ArcFace network from its tensors."""
    width = shape(tensors, "input_layer.0.weight", 4, what)[0]
    with unfilled():
        network = ArcFace(_width(width, what))
    _load(network, tensors, what)
    return network


def _width(width: int, what: str) -> int:
    if not 16 <= width <= 256:
        raise CheckpointError(f"{what} has a first stage of {width} channels; IR-SE50 has 64.")
    return width


def _load(network: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    renamed = {_our_name(name): value for name, value in tensors.items()}
    if len(renamed) != len(tensors):
        raise CheckpointError(f"{what} is damaged: two of its tensors have the same meaning.")
    load_strictly(network, renamed, what)
    network.eval().requires_grad_(False)


def _our_name(name: str) -> str:
    if match := re.match(r"^styles\.(\d+)\.convs\.(\d{1,3})\.(.*)$", name):  # every second entry of theirs is an activation
        return f"rows.{match[1]}.convs.{int(match[2]) // 2}.{match[3]}" if int(match[2]) % 2 == 0 else name
    for pattern, ours in _RENAMED:
        renamed, count = re.subn(pattern, ours, name)
        if count:
            return renamed
    return name
