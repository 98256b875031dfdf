"""Says what a weights file is, without running anything in it: kind, size, parts, licence, provenance, what is odd about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mien.checkpoint import model_file, native
from mien.checkpoint.foreign import encoders
from mien.checkpoint.foreign.encoders import EncoderParts
from mien.checkpoint.foreign.sniff import Contents, open_contents
from mien.checkpoint.load import build_model, model_kind, not_a_model
from mien.errors import CheckpointError, shown

_CHUNK = 1 << 20
_DEEPEST = 12


@dataclass(frozen=True)
class FileInfo:
    """What a file is."""

    path: Path
    kind: str
    """`model`, `style` or another kind of our own; `rosinality`, `nvidia`, an encoder's kind (`e4e`, ...) or `arcface`."""
    summary: str
    """One sentence."""
    size: int
    """Bytes."""
    sha256: str
    """Of the whole file."""
    resolution: int | None = None
    """Side of the pictures in pixels."""
    parameters: dict[str, int] = field(default_factory=dict)
    """Numbers in each part: `{"generator": 24_767_458, ...}`."""
    channels: dict[int, int] = field(default_factory=dict)
    """Width of the generator's block of each size."""
    config: dict[str, Any] = field(default_factory=dict)
    """Each part's configuration."""
    licence: str = "unknown"
    provenance: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    """The model's fingerprint; for a style that of its base model."""
    document: dict[str, Any] = field(default_factory=dict)
    """The description inside a file of our own."""
    warnings: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what is in the file."""
        return tuple(self.parameters)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values for `json.dumps`."""
        return {**asdict(self), "path": str(self.path), "parts": list(self.parts), "warnings": list(self.warnings)}


def inspect_file(path: str | Path) -> FileInfo:
    """What the file is. Raises `CheckpointError` with one sentence for a file that is unreadable or no weights file."""
    contents = open_contents(Path(path))
    tree = contents.tree
    if contents.container == "mien":
        return _ours(contents)
    if model_kind(contents) is not None:
        return _model(contents, {})
    if (identity := encoders.find_identity(tree)) is not None:
        network = encoders.build_identity(identity, f"the identity network in {path}")
        info = _info(contents.path, "arcface", "ArcFace IR-SE50 identity network, 112 px.", {"identity": network})
        return replace(info, resolution=network.resolution)
    if (parts := encoders.find_encoder(tree)) is not None:
        return _encoder(contents.path, parts)
    raise CheckpointError(f"{path} {not_a_model(contents)}.")


def _info(
    path: Path, kind: str, summary: str, modules: Mapping[str, nn.Module | None], warnings: Iterable[str] = ()
) -> FileInfo:
    present = {name: module for name, module in modules.items() if module is not None}
    size, sha256 = _size_and_hash(path)
    return FileInfo(
        path=path,
        kind=kind,
        summary=summary,
        size=size,
        sha256=sha256,
        parameters={name: sum(p.numel() for p in module.parameters()) for name, module in present.items()},
        config={name: _settings(module) for name, module in present.items() if hasattr(module, "config")},
        warnings=(*warnings, *(f"the {n} {text}" for n, m in present.items() for text in _oddities(m.state_dict().values()))),
    )


def _settings(module: nn.Module) -> dict[str, Any]:
    config: Any = module.config
    return asdict(config)


def _oddities(tensors: Iterable[Tensor]) -> list[str]:
    finite = all(bool(value.isfinite().all()) for value in tensors if value.is_floating_point())
    return [] if finite else ["has numbers that are not finite: it is broken"]


def _size_and_hash(path: Path) -> tuple[int, str]:
    total, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            size += len(chunk)
    return size, total.hexdigest()


def _cleaned(value: Any, depth: int = 0) -> Any:
    """A stranger's description as plain printable values, no deeper than anybody would look."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() or c == "\n" else "?" for c in value)
    if isinstance(value, (dict, list)) and depth == _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {_cleaned(str(key)): _cleaned(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    return value


def _ours(contents: Contents) -> FileInfo:
    path = contents.path
    document = _cleaned(native.read_document(path))
    kind, name, provenance = shown(document["kind"], 20), document.get("name"), document.get("provenance")
    if kind == model_file.KIND:
        return _model(contents, document)
    tensors = native.read_foreign(path)
    counts: dict[str, int] = {}
    for key, value in tensors.items():
        part = shown(key.split(".", 1)[0], 40)
        counts[part] = counts.get(part, 0) + value.numel()
    summary = f"{kind.capitalize()} of mien{f' named {shown(name, 60)}' if isinstance(name, str) else ''}."
    info = _info(path, kind, summary, {}, [f"it {text}" for text in _oddities(tensors.values())])
    return replace(
        info,
        resolution=document["resolution"] if type(document.get("resolution")) is int else None,
        parameters=counts,
        provenance=provenance if isinstance(provenance, dict) else {},
        digest=shown(document.get("base", "")),
        document=document,
    )


_NAMES = {
    "mien": "model of mien",
    "rosinality": "model in the common PyTorch format",
    "nvidia": "model by NVIDIA's StyleGAN2-ADA code",
}


def _model(contents: Contents, document: dict[str, Any]) -> FileInfo:
    model, remarks = build_model(contents)
    source = model_kind(contents)
    assert source is not None
    config, provenance = model.generator.config, model.provenance
    modules = {"generator": model.generator, "discriminator": model.discriminator, "encoder": model.encoder}
    if model.discriminator is None:
        remarks = [*remarks, "without a discriminator it can render, but not learn a style"]
    kind = "model" if source == "mien" else source
    info = _info(contents.path, kind, f"StyleGAN2 {_NAMES[source]}, {config.resolution} px.", modules, remarks)
    return replace(
        info,
        resolution=config.resolution,
        channels={r: config.channels(r) for r in model.generator.synthesis.resolutions},
        licence=provenance.licence,
        provenance=asdict(provenance),
        digest=provenance.digest,
        document=document,
    )


def _encoder(path: Path, parts: EncoderParts) -> FileInfo:
    kinds = encoders.possible_kinds(parts, f"the encoder in {path}")
    encoder = encoders.build_encoder(parts, kinds[0], f"the encoder in {path}").encoder
    name, config = " or ".join(kinds), encoder.config
    warnings = [f"it does not say whether it is {name}: --kind is needed to load it"] if len(kinds) > 1 else []
    info = _info(path, name, f"Encoder {name}, {config.num_ws} rows.", {"encoder": encoder}, warnings)
    return replace(info, resolution=config.resolution, document={"opts": parts.opts})
