"""The one path: source, frames, tiles, scores, verdict. Every driver goes through `look`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenecheck.classifier import Classifier, heat_map
from scenecheck.conditions import conditions, remember
from scenecheck.errors import SourceError
from scenecheck.preprocess import tiles
from scenecheck.source import SourceOptions, open_source
from scenecheck.types import Label, Sighting, Verdict
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from scenecheck.redact import Address
    from scenecheck.source import Source
    from scenecheck.types import Frame

UNFIT_ALLOWANCE = 3
"""Frames looked at for each one wanted, when frames are unfit as evidence, before giving up."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A frame as the classifier saw it: ``tile`` ``uint8 [3, H, W]``, ``heat`` ``float32 [h, w]``,
    ``embedding`` ``float32 [D]``.

    Not to be shown or stored but through `scenecheck.mask` and `scenecheck.view`.
    """

    tile: NDArray[np.uint8]
    heat: NDArray[np.float32]
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What was found about a source, and how long it took (seconds).

    ``evidence`` is the frame that spoke most for an interior. ``error`` says why frames are missing; a
    verdict may stand in spite of it. ``open_s`` and ``first_frame_s`` are None when it did not come to that.
    """

    source: str
    verdict: Verdict
    error: SourceError | None
    evidence: Evidence | None
    open_s: float | None
    first_frame_s: float | None
    total_s: float


class Looker:
    """Collects sightings frame by frame; remembers the latest frame (frozen?) and the most telling one."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.sightings: list[Sighting] = []
        self.evidence: Evidence | None = None
        self.latest: Evidence | None = None
        self._evidence_rank = (-1.0, -1.0)
        self._previous: tuple[NDArray[np.uint8], float] | None = None

    def look(self, frame: Frame) -> Verdict:
        size = self._classifier.card.input
        batch = tiles([frame.picture], (size.height, size.width))
        found = conditions(
            batch,
            damaged=[frame.is_damaged],
            stale=[frame.is_stale],
            live=[frame.is_live],
            at_s=[frame.at_s],
            previous=self._previous,
        )[0]
        self._previous = remember(self._previous, batch[0], frame.at_s)
        scores = self._classifier.score(batch)
        sighting = Sighting(frame.at_s, float(scores.p_indoor[0]), found | scores.conditions(0))
        self.sightings.append(sighting)
        self.latest = Evidence(batch[0], heat_map(scores)[0], scores.embedding[0])
        rank = (float(sighting.is_evidence), sighting.p_indoor)
        if rank > self._evidence_rank:
            self._evidence_rank = rank
            self.evidence = self.latest
        return self.verdict()

    def verdict(self) -> Verdict:
        return judge(self.sightings, self._classifier.card.thresholds)


def look(
    source: Source,
    classifier: Classifier,
    *,
    frames: int = 5,
    settle: Callable[[Looker], Verdict] = Looker.verdict,
    on_frame: Callable[[], object] | None = None,
) -> Judgement:
    """Judge one source: stop as soon as the verdict is certain, at the latest after ``frames`` fit frames.

    ``settle`` says what a second witness makes of it: it is asked when the frames alone are certain, and
    at the end. ``on_frame`` is called for every frame that arrives.

    A source that fails gives a Judgement with its ``error``, never an exception: ``street`` then only
    stands if it was certain before. Raises ModelError when the classifier fails.
    """
    started_s = time.monotonic()
    looker, error = Looker(classifier), None
    with source:
        try:
            for frame in source:
                if on_frame is not None:
                    on_frame()
                alone = looker.look(frame)
                n_fit = sum(s.is_evidence for s in looker.sightings)
                if n_fit >= frames or len(looker.sightings) >= UNFIT_ALLOWANCE * frames:
                    break
                if alone.is_certain and settle(looker).is_certain:
                    break
        except SourceError as e:
            error = e
    verdict = settle(looker)
    if error is not None:
        verdict = _despite(error, verdict)
    return Judgement(
        source=source.name,
        verdict=verdict,
        error=error,
        evidence=looker.evidence,
        open_s=source.open_s,
        first_frame_s=source.first_frame_s,
        total_s=time.monotonic() - started_s,
    )


def _despite(error: SourceError, verdict: Verdict) -> Verdict:
    """What still holds when the source failed: an interior seen, but no street that was not certain."""
    if verdict.label is Label.STREET and not verdict.is_certain:
        reason = f"{verdict.reason}; then the source failed ({error.code}), before that was confirmed"
        return Verdict(Label.UNKNOWN, reason, verdict.p_indoor, verdict.sightings)
    if not verdict.sightings:
        return Verdict(Label.UNKNOWN, f"no frame came ({error.code})", None)
    return verdict


def check(
    source: str | Path | Address,
    *,
    classifier: Classifier | None = None,
    frames: int = 5,
    **options: Any,
) -> Judgement:
    """Judge one camera, file or folder now.

    ``options`` are those of `SourceOptions` (``deadline_s``, ``transport``, ``tls_ca``, …). Without a
    ``classifier`` the bundled model is loaded for this call. Raises UsageError for what no source can
    be and ModelError for a broken model; a source that fails is reported in the result.
    """
    opened = open_source(source, SourceOptions(frames=frames, **options))
    if classifier is not None:
        return look(opened, classifier, frames=frames)
    with Classifier() as loaded:
        return look(opened, loaded, frames=frames)
