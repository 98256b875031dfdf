"""Says what a weights file is, without running anything in it: kind, size, parts, license, provenance, what is odd about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from mien.checkpoint import model_file, native
from mien.checkpoint.foreign.sniff import Contents, open_contents
from mien.checkpoint.formats import Built, formats_of, not_known
from mien.checkpoint.soundness import first_broken, problems_of
from mien.errors import CheckpointError, shown
from mien.files import file_sha256
from mien.models.model import Model

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
    """Side of the images in pixels."""
    parameters: dict[str, int] = field(default_factory=dict)
    """Numbers in each part: `{"generator": 24_767_458, ...}`."""
    channels: dict[int, int] = field(default_factory=dict)
    """Width of the generator's block of each size."""
    config: dict[str, Any] = field(default_factory=dict)
    """Each part's configuration."""
    license: str = "unknown"
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
    """What the file is: all that it holds, and what is odd about it, be it broken.

    Raises `CheckpointError` with one sentence for a file that is unreadable or no weights file.
    """
    contents = open_contents(Path(path))
    if contents.container == "mien":
        return _ours(contents)
    return _by_table(contents)


def _by_table(contents: Contents) -> FileInfo:
    found = formats_of(contents)
    if not found:
        raise CheckpointError(f"{contents.path} {not_known(contents)}.")
    infos = [_info(contents.path, form.build(contents, form)) for form in found]  # one after the other: only one is in memory
    info = infos[0]
    for other in infos[1:]:
        info = replace(
            info,
            summary=f"{info.summary.rstrip('.')}; and {other.summary}",
            parameters=info.parameters | other.parameters,
            channels=info.channels | other.channels,
            config=info.config | other.config,
            provenance=info.provenance or other.provenance,
            digest=info.digest or other.digest,
            document=info.document | other.document,
            warnings=(*info.warnings, *other.warnings),
        )
    return info


def _info(path: Path, built: Built) -> FileInfo:
    info = FileInfo(
        path=path,
        kind="model" if built.kind == "mien" else built.kind,
        summary=f"{built.summary}.",
        size=path.stat().st_size,
        sha256=file_sha256(path),
        resolution=built.resolution,
        parameters={name: sum(p.numel() for p in module.parameters()) for name, module in built.networks.items()},
        config={name: _settings(module) for name, module in built.networks.items() if hasattr(module, "config")},
        document=built.document,
        warnings=(*built.remarks, *(f"it is broken: {problem}" for problem in problems_of(built.networks))),
    )
    if not isinstance(built.value, Model):
        return info
    config, provenance = built.value.generator.config, built.value.provenance
    without = () if built.value.discriminator else ("without a discriminator it can render, but not learn a style",)
    return replace(
        info,
        channels={r: config.channels(r) for r in built.value.generator.synthesis.resolutions},
        license=provenance.license,
        provenance=asdict(provenance),
        digest=provenance.digest,
        warnings=(*info.warnings, *without),
    )


def _settings(module: nn.Module) -> dict[str, Any]:
    config: Any = module.config
    return asdict(config)


def _cleaned(value: Any, depth: int = 0) -> Any:
    """A foreign file's description as plain printable values, no deeper than anybody would look."""
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
        return replace(_by_table(contents), document=document)
    tensors = native.read_foreign(path)
    counts: dict[str, int] = {}
    for key, value in tensors.items():
        part = shown(key.split(".", 1)[0], 40)
        counts[part] = counts.get(part, 0) + value.numel()
    broken = first_broken(tensors)
    return FileInfo(
        path=path,
        kind=kind,
        summary=f"{kind.capitalize()} of mien{f' named {shown(name, 60)}' if isinstance(name, str) else ''}.",
        size=path.stat().st_size,
        sha256=file_sha256(path),
        resolution=document["resolution"] if type(document.get("resolution")) is int else None,
        parameters=counts,
        provenance=provenance if isinstance(provenance, dict) else {},
        digest=shown(document.get("base", "")),
        document=document,
        warnings=() if broken is None else (f"it is broken: {shown(broken, 60)} holds numbers that are not finite",),
    )
