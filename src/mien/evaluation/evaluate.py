"""Evaluating styles on photos: draw them, read what other methods made of the same photos, and measure all in the same way."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.checkpoint import load_identity, load_model
from mien.checkpoint.face_networks import read_identity_network, read_mobilefacenet
from mien.checkpoint.feature_network import FEATURE_NETWORK_DIGEST, has_feature_network, read_feature_network
from mien.config import with_settings
from mien.errors import InputError
from mien.evaluation.config import EvaluateConfig, Features
from mien.evaluation.measures import Candidate, Evaluation, measure
from mien.evaluation.outputs import SIDE, Outputs, PhotoFace, read_faces, read_outputs, read_references
from mien.files import file_digest
from mien.latents import USUAL_FIDELITY, Codes
from mien.losses.extractors import DISCRIMINATOR, FeatureExtractor, discriminator_extractor, efficientnet_extractor
from mien.media.image_dataset import load_dataset
from mien.metrics.perceptual import as_images
from mien.metrics.spaces import MetricNetworks, identity_metric
from mien.pipeline import Stylizer
from mien.runtime import Progress
from mien.shipped import EMBEDDED_MODEL, IDENTITY
from mien.styles import Style, StyleLike

_BIASED = (
    "Looks are compared by the discriminator, with which styles are learned, so they look nearer than they are: "
    'pip install "mien[measure]" brings EfficientNet-Lite1, which nothing was learned with.'
)
NO_STYLE = "no style"
"""Name of the row of what the model makes of the photos before any style."""


def open_features(features: Features = "auto", device: str | torch.device = "cpu") -> FeatureExtractor:
    """The feature extractor of that name, on `device`; auto: EfficientNet-Lite1 where it is installed, else the discriminator.

    The discriminator is that of the embedded model, with which styles are learned: a biased metric.
    Raises `InputError` where `efficientnet-lite1` is asked for and not installed.
    """
    if features == "efficientnet-lite1" or (features == "auto" and has_feature_network()):
        return efficientnet_extractor(read_feature_network().to(device), FEATURE_NETWORK_DIGEST)
    discriminator = load_model(EMBEDDED_MODEL).discriminator
    assert discriminator is not None, "the embedded model comes with its discriminator"
    return discriminator_extractor(discriminator.to(device).eval(), file_digest(EMBEDDED_MODEL))


def open_instruments(
    features: Features = "auto", identity: Path | None = None, device: str | torch.device = "cpu"
) -> MetricNetworks:
    """The networks that measure, on `device`: the extractor `features` (see `open_features`), and the identity network.

    `identity` is a MobileFaceNet (.safetensors) or an ArcFace IR-SE50 (any other file); None: the identity network that comes
    with mien.
    """
    looks = open_features(features, device)
    if identity is None:
        own = read_identity_network(IDENTITY).to(device)
        return MetricNetworks(looks, identity_metric(own, "mien-identity", file_digest(IDENTITY)))
    weights = file_digest(identity)
    if identity.suffix == ".safetensors":
        return MetricNetworks(looks, identity_metric(read_mobilefacenet(identity).to(device), "MobileFaceNet", weights))
    return MetricNetworks(looks, identity_metric(load_identity(identity).to(device), "ArcFace", weights))


def evaluate(
    photos: Sequence[str | Path], instruments: MetricNetworks | None = None,
    config: EvaluateConfig | None = None, *, styles: Mapping[str, Style] | Sequence[StyleLike] = (),
    outputs: Mapping[str, Path] | None = None, references: Mapping[str, Sequence[Path]] | None = None,
    stylizer: Stylizer | None = None, progress: Progress | None = None, **settings: Any,
) -> Evaluation:  # fmt: skip
    """Measure `styles`, and other methods' results in folders of `outputs`, on the largest face of each photo.

    `styles` are names, files or styles, drawn by `stylizer` (None: with the model that ships with mien); `instruments` the
    networks that measure (None: as `open_instruments` opens them). `references` are the images that a style or method (by its
    name) was made from; without them a style is measured against the small images in its file, and outputs against nothing.
    `settings` are those of `config` and its `render` by name, as in `aligned=True`. Photos that cannot be used are listed in
    the result. Raises `InputError`.

    >>> mien.evaluate(["me.jpg", "photos/anna.jpg"], styles=["ink"]).numbers["methods"]["ink"]["identity"]
    """
    files = [Path(photo) for photo in photos]
    outputs, references, config = outputs or {}, references or {}, config or EvaluateConfig()
    config, render = with_settings(settings, config, config.render)
    config = replace(config, render=render)
    if styles and stylizer is None:
        stylizer = Stylizer.load()
    if not isinstance(styles, Mapping):
        opened = [stylizer.style(style) for style in styles] if stylizer else []
        styles = {style.name: style for style in opened}
    _check_names(list(styles), list(outputs), list(references))
    instruments = instruments or open_instruments()
    chosen = {name: read_references(paths, aligned=config.references_aligned) for name, paths in references.items()}
    style_set = None if config.style_set is None else load_dataset(config.style_set, SIDE)
    tick = _ticker(progress, len(files) * (2 + len(styles) if styles else 1))
    sizes = (SIDE,) if stylizer is None else (SIDE, stylizer.resolution)
    faces, failed = read_faces(files, sizes, aligned=config.aligned, tick=tick)
    candidates, notes = [], []
    if stylizer is not None and styles:
        candidates += _drawn(stylizer, styles, faces, config, chosen, tick)
        notes += [_without_reference(c.name) for c in candidates[1:] if c.references is None]
        notes += [_BIASED] if instruments.looks.name == DISCRIMINATOR else []
    for name, folder in outputs.items():
        found, made = _made(name, folder, faces, config, chosen.get(name))
        candidates.append(made)
        notes += found.notes(name) + ([] if name in chosen else [_without_reference(name)])
    stems, crops = [face.path.stem for face in faces], torch.stack([face.crops[SIDE] for face in faces])
    evaluation = measure(stems, crops, candidates, instruments, None if style_set is None else as_images(style_set.pixels))
    if styles:
        evaluation.numbers["settings"] = _plain(asdict(config))
    if style_set is not None:
        evaluation.numbers["set"]["path"] = str(config.style_set)
        notes += [f"{config.style_set}: {line}" for line in style_set.report().splitlines()[1:]]
    evaluation.notes, evaluation.failed = notes, failed
    return evaluation


def _ticker(progress: Progress | None, total: int) -> Callable[[], None]:
    count = itertools.count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(count), total, 0.0)

    return tick


def _without_reference(name: str) -> str:
    return f"No reference of {name} is known: its distance to one is left out. Name it in `references`."


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """As JSON takes them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}


def _made(
    name: str, folder: Path, faces: Sequence[PhotoFace], config: EvaluateConfig, references: Tensor | None
) -> tuple[Outputs, Candidate]:
    """What another method made."""
    found = read_outputs(name, folder, faces, config.outputs_are)
    facts = {"drawn_by": str(folder), "missing": found.missing, "extra": found.extra, "unusable": found.unusable}
    images = torch.stack(list(found.images.values()))
    return found, Candidate(name, list(found.images), images, references, facts=facts)


def _check_names(styles: Sequence[str], outputs: Sequence[str], references: Sequence[str]) -> None:
    names = [*([NO_STYLE] if styles else []), *styles, *outputs]
    if not names:
        raise InputError("There is nothing to evaluate: give a style in `styles`, or a folder in `outputs`.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"Two of what is evaluated are called '{twice}': give one another name.")
    known = names[bool(styles) :]
    stray = next((name for name in references if name not in known), None)
    if stray is not None:
        there = ", ".join(known)
        raise InputError(f"`references` has '{stray}', and nothing that is evaluated is called so: {there}.")


def _drawn(
    stylizer: Stylizer, styles: Mapping[str, Style], faces: Sequence[PhotoFace], config: EvaluateConfig,
    references: Mapping[str, Tensor], tick: Callable[[], None],
) -> list[Candidate]:  # fmt: skip
    """The model without a style, then every style; a photo is inverted once a fidelity, and that time counts for each style."""

    @cache
    def inverted(fidelity: float) -> list[tuple[Codes, float]]:
        found = []
        for face in faces:
            start = time.perf_counter()
            codes = stylizer.invert_crops(
                face.crops[stylizer.resolution][None], inverter=config.render.inversion,
                refine_steps=config.render.refine_steps, fidelity=fidelity,
            )  # fmt: skip
            found.append((codes, face.seconds + time.perf_counter() - start))
        return found

    def fidelity_of(style: Style | None) -> float:
        usual = USUAL_FIDELITY if style is None else style.fidelity
        return usual if config.render.fidelity is None else config.render.fidelity

    plain = []
    for codes, _ in inverted(fidelity_of(None)):
        plain.append(stylizer.render(codes))
        tick()
    every = range(len(faces))
    drawn = [Candidate(NO_STYLE, every, torch.cat(plain), facts={"drawn_by": "model"})]
    for name, style in styles.items():
        images, seconds = [], []
        for code, before in inverted(fidelity_of(style)):
            start = time.perf_counter()
            images.append(stylizer.draw(style, code, config.render.strength))
            seconds.append(before + time.perf_counter() - start)
            tick()
        # A model that was fine-tuned on a set carries a face of its own there, and no reference.
        small = style.references() if style.of_images else None
        reference = references.get(name, small)
        drawn.append(Candidate(name, every, torch.cat(images), reference, seconds, {"drawn_by": "style"}))
    return drawn
