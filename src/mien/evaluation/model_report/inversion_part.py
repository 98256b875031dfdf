"""The part of a report that inverts held-out photos: how like they stay, and how long it takes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from mien.evaluation.model_report.parts import Inversion, Session, Verdict, device_of, judge, pixels_of, timed, yardsticks
from mien.evaluation.model_report.report_sheets import inversion_sheet
from mien.evaluation.model_report.workspace import pixels_digest
from mien.latents import Codes
from mien.metrics.perceptual import as_images

_STEP_WORK = 4.0
"""Cost of one optimization step on one image, in units of describing one image."""
_SHOWN, _WORST = 24, 8


def inversion_work(photos: Tensor, inversion: Inversion) -> float:
    """How much there is to do, in units of one image described."""
    return len(photos) * (1 + _STEP_WORK * inversion.refine_steps)


def measure_inversion(session: Session, photos: Tensor, inversion: Inversion) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Numbers and sheets for photos [N, 3, R, R] (uint8) at the model's resolution."""
    found = _inverted(session, photos, inversion)
    numbers: dict[str, Any] = {"count": len(photos), "start_from": inversion.start_name, "refine_steps": inversion.refine_steps}
    stages: dict[str, tuple[Tensor, Verdict]] = {}
    for stage, name in (("start", inversion.start_name), ("refined", f"refined, {inversion.refine_steps} steps")):
        if f"{stage}_codes" not in found:
            continue
        pixels = pixels_of(session.model, found[f"{stage}_codes"], session.batch, found.get(f"{stage}_detail"))
        verdict = judge(photos, pixels, session.instruments, session.batch)
        stages[name] = pixels, verdict
        numbers[stage] = {
            **verdict.summary(),
            "seconds_per_image": float(found[f"{stage}_seconds"].sum()) / len(photos),
            "seconds_alone": float(found[f"{stage}_alone"]),
        }
    numbers["yardsticks"] = yardsticks(photos, session.instruments, session.batch)
    last = list(stages.values())[-1][1]
    order = last.l1.argsort(descending=True) if last.identity is None else last.identity.argsort()
    return numbers, {
        "inversion": _sheet_of(photos, stages, torch.arange(len(photos))[:_SHOWN]),
        "inversion-worst": _sheet_of(photos, stages, order[:_WORST]),
    }


def _sheet_of(photos: Tensor, stages: dict[str, tuple[Tensor, Verdict]], index: Tensor) -> Tensor:
    def cosines(verdict: Verdict) -> list[float] | None:
        return None if verdict.identity is None else verdict.identity[index].tolist()

    return inversion_sheet(photos[index], {name: (pixels[index], cosines(v)) for name, (pixels, v) in stages.items()})


_WAY = 2  # of refining: results that are kept of another one are not taken


def _inverted(session: Session, photos: Tensor, inversion: Inversion) -> dict[str, Tensor]:
    """Codes and seconds of both stages, kept batch by batch; `*_alone` is the time of one image by itself."""
    settings = {"model": session.digests, "start": inversion.start_name, "steps": inversion.refine_steps, "way": _WAY}
    parts: list[dict[str, Tensor]] = []
    for batch in torch.split(photos, session.batch):
        images = as_images(batch).to(device_of(session.model))
        parts.append(
            session.workspace.kept(
                f"inverted-{len(parts) * session.batch}",
                {**settings, "pixels": pixels_digest(batch)},
                partial(_invert, images, inversion, alone=not parts),
            )
        )
        session.tick(inversion_work(batch, inversion))
    alone = {name: value for name, value in parts[0].items() if name.endswith("_alone")}
    return alone | {name: torch.cat([part[name] for part in parts]) for name in parts[0] if name not in alone}


def _invert(images: Tensor, inversion: Inversion, *, alone: bool) -> dict[str, Tensor]:
    def start(some: Tensor) -> Codes:
        with torch.no_grad():
            return inversion.start(some)

    if alone:  # the first call of a network is slower than the others
        start(images[:1])
    codes, seconds = timed(lambda: start(images))
    made = {**_stored("start", codes), "start_seconds": torch.tensor([seconds])}
    if alone:
        made["start_alone"] = torch.tensor(min(timed(lambda: start(images[:1]))[1] for _ in range(3)))
    refine = inversion.refine
    if refine is not None and inversion.refine_steps:
        better, seconds = timed(lambda: refine(images, codes))
        made |= {**_stored("refined", better), "refined_seconds": torch.tensor([seconds])}
        if alone:
            made["refined_alone"] = torch.tensor(timed(lambda: refine(images[:1], codes.single()[0]))[1])
    return made


def _stored(stage: str, codes: Codes) -> dict[str, Tensor]:
    found = {f"{stage}_codes": codes.w_plus}
    return found if codes.feature_code is None else {**found, f"{stage}_detail": codes.feature_code}
