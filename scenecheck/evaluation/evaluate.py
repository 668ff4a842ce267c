"""A manifest and a classifier in, an `Evaluation` out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from scenecheck.evaluation import figures, golden
from scenecheck.evaluation.cache import ScoreCache, recipe_of
from scenecheck.evaluation.manifest import read_manifest
from scenecheck.evaluation.results import Evaluation, ModelFacts, Speed
from scenecheck.evaluation.scoring import CLIP_FRAMES, bare_speed, score, workers_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scenecheck.adapter import Model
    from scenecheck.evaluation.scoring import BareSpeed, Scored


def evaluate(
    manifest: Path,
    classifier: Model,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Judge every picture and clip of a manifest and work out the figures.

    ``workers`` threads decode and judge side by side: as many as give the CPUs work when each inference takes
    the classifier's own ``threads``, which are best 1. ``cache`` is a folder of scores to use and extend.
    ``progress`` is told how many of how many examples are done.

    Raises ManifestError for a wrong manifest and, after all were tried, for pictures and clips that cannot be
    read; UsageError for a cache that is none; ModelError when the classifier fails.
    """
    rows = read_manifest(manifest)
    n_workers = workers or workers_for(classifier)
    with contextlib.ExitStack() as stack:
        kept = None
        if cache is not None:
            kept = stack.enter_context(ScoreCache(cache, recipe_of(classifier, frames=CLIP_FRAMES)))
        scored = score(rows, classifier, workers=n_workers, cache=kept, progress=progress)
    bare = bare_speed(rows.examples, classifier, workers=n_workers)
    thresholds = classifier.card.thresholds
    frames = figures.frames_of(scored.examples, thresholds)
    groups = figures.judged_groups(scored.examples, thresholds)
    ranked, calibration = figures.frame_figures(figures.arrays_of(frames))
    return Evaluation(
        manifest=rows,
        model=_facts(classifier),
        thresholds=thresholds,
        pictures_sha256=scored.pictures_sha256,
        examples=scored.examples,
        judged_groups=groups,
        n=figures.counts(scored.examples, frames, groups),
        frames=ranked,
        groups=figures.group_figures(groups),
        calibration=calibration,
        slices=figures.slices(frames, groups),
        conditions=figures.condition_figures(frames),
        worst=figures.worst_errors(frames),
        speed=_speed(scored, bare, n_frames=len(frames)),
        golden=tuple(golden.drift((e.file for e in rows.examples), classifier)),
    )


def _facts(classifier: Model) -> ModelFacts:
    card = classifier.card
    return ModelFacts(
        name=card.name,
        version=card.version,
        sha256=card.sha256,
        provider=classifier.provider,
        precision=classifier.precision,
    )


def _speed(scored: Scored, bare: BareSpeed | None, *, n_frames: int) -> Speed:
    return Speed(
        pictures_per_s=round(n_frames / scored.seconds, 2),
        bare_pictures_per_s=None if bare is None else round(bare.pictures_per_s, 2),
        inference_ms=None if bare is None else round(bare.inference_ms, 3),
        prepare_ms=None if bare is None else round(bare.prepare_ms, 3),
        latency_ratio=None if bare is None else round(bare.inference_ms / bare.prepare_ms, 3),
        n_cached=scored.n_cached,
    )
