"""A manifest and a classifier in, an `Evaluation` out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scenecheck.classifier import Classifier
    from scenecheck.evaluation.results import Evaluation


def evaluate(
    manifest: Path,
    classifier: Classifier,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Judge every picture and clip of a manifest and work out the figures.

    ``workers`` threads decode and judge side by side, as many as there are CPUs unless told: give the classifier
    ``threads=1`` then. ``cache`` is a folder of scores to use and extend. ``progress`` is told how many of how
    many examples are done.

    Raises ManifestError for a wrong manifest and, after all were tried, for pictures and clips that cannot be
    read; UsageError for a cache that is none; ModelError when the classifier fails.
    """
    raise NotImplementedError
