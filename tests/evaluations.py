"""Evaluations made of numbers instead of pictures: for what follows once everything is scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scenecheck.evaluation import figures
from scenecheck.evaluation.manifest import Example, Manifest
from scenecheck.evaluation.results import Evaluation, Judged, ModelFacts, Speed
from scenecheck.types import Label, Sighting, Thresholds
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

THRESHOLDS = Thresholds(0.1, 0.9)
MODEL = ModelFacts(name="made-up", version="1", sha256="a" * 64, provider="cpu", precision="fp32")
SPEED = Speed(
    pictures_per_s=100.0,
    bare_pictures_per_s=110.0,
    inference_ms=10.0,
    prepare_ms=1.0,
    latency_ratio=10.0,
    n_cached=0,
)

Row = tuple[str, Label, float]
"""Group, truth and p_indoor of one still."""


def evaluation(
    rows: Sequence[Row], *, model: ModelFacts = MODEL, speed: Speed = SPEED, pictures: str = "b" * 64
) -> Evaluation:
    """An evaluation of stills with these scores, in the product's own way from there on."""
    root = Path("made-up")
    examples = []
    for i, (group, label, p) in enumerate(rows):
        example = Example(i + 2, f"{i}.jpg", root / f"{i}.jpg", label, group, ("all",))
        sighting = Sighting(0.0, p)
        examples.append(Judged(example, (sighting,), judge([sighting], THRESHOLDS)))
    frames = figures.frames_of(examples, THRESHOLDS)
    groups = figures.judged_groups(examples, THRESHOLDS)
    ranked, calibration = figures.frame_figures(figures.arrays_of(frames))
    return Evaluation(
        manifest=Manifest(root / "manifest.csv", tuple(j.example for j in examples)),
        model=model,
        thresholds=THRESHOLDS,
        pictures_sha256=pictures,
        examples=tuple(examples),
        judged_groups=groups,
        n=figures.counts(examples, frames, groups),
        frames=ranked,
        groups=figures.group_figures(groups),
        calibration=calibration,
        slices=figures.slices(frames, groups),
        conditions=figures.condition_figures(frames),
        worst=figures.worst_errors(frames),
        speed=speed,
    )
