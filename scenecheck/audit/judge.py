"""One feed to one outcome: its attempts, what its reference says, what may be kept of it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import stamina

from scenecheck.audit.messages import Outcome
from scenecheck.errors import ScenecheckError, SourceError, UsageError
from scenecheck.findings import admissible
from scenecheck.pipeline import look
from scenecheck.records import ErrorNote, Mosaic, Result
from scenecheck.source import open_source
from scenecheck.types import Label, Verdict
from scenecheck.verdict import judge
from scenecheck.view import View, compare, merge, with_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from scenecheck.classifier import Classifier
    from scenecheck.feeds import Feed
    from scenecheck.pipeline import Judgement, Looker
    from scenecheck.records import Reference
    from scenecheck.types import Thresholds
    from scenecheck.view import Comparison

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""A camera that restarts or drops one connection answers the second; one that is dead says so thrice."""
BACK_OFF_S = 0.5
"""Before the second attempt; then twice as long. As much again at random: cameras behind one recorder or
switch fail together, and would come back together."""
LEAST_ATTEMPT_S = 1.0
"""With less of the deadline left, connecting and a keyframe do not fit in."""


class SecondWitness:
    """Compares what a feed shows with its reference, once its frames alone are certain and at the end.

    It looks at the latest frame, and at further ones where the view moved and so owes more frames.
    """

    def __init__(self, reference: Reference | None, thresholds: Thresholds, model: bytes) -> None:
        self._reference, self._thresholds, self._model = reference, thresholds, model
        self._views: list[View] = []
        self._n_seen = 0
        self.comparison: Comparison | None = None

    @property
    def view(self) -> View | None:
        """Where the feed looks; None when no frame was fit."""
        return merge(self._views) if self._views else None

    def settle(self, looker: Looker) -> Verdict:
        """The verdict with the reference's help; certain when looking on would not change it."""
        if len(looker.sightings) > self._n_seen and looker.latest is not None:
            self._n_seen = len(looker.sightings)
            if looker.sightings[-1].is_evidence:
                seen = looker.latest
                self._views.append(View.of(seen.tile, seen.embedding, model=self._model))
        if self._reference is None:
            return looker.verdict()
        if self._views:
            self.comparison = compare(self._reference.view, merge(self._views))
        usable = admissible(self.comparison, self._reference)
        return with_reference(looker.sightings, usable, thresholds=self._thresholds)


def judge_feed(
    feed: Feed,
    reference: Reference | None,
    classifier: Classifier,
    *,
    on_frame: Callable[[], object] | None = None,
) -> Outcome:
    """Judge one feed within its deadline, trying again where the failure may pass by itself.

    Whatever is wrong with the feed is in the outcome. Raises ModelError when the classifier fails.
    """
    started_s = time.monotonic()
    best: Outcome | None = None

    def left_s() -> float:
        return started_s + feed.deadline_s - time.monotonic()

    try:
        target, options = feed.target(), feed.options()
        for attempt in stamina.retry_context(
            on=_may_pass,
            attempts=ATTEMPTS,
            timeout=max(feed.deadline_s - LEAST_ATTEMPT_S, 0.01),
            wait_initial=BACK_OFF_S,
            wait_jitter=BACK_OFF_S,
        ):
            with attempt:
                if best is not None and left_s() < LEAST_ATTEMPT_S:
                    break
                witness = SecondWitness(reference, classifier.card.thresholds, _model_id(classifier))
                source = open_source(target, replace(options, deadline_s=max(left_s(), 0.1)))
                judgement = look(
                    source, classifier, frames=feed.frames, settle=witness.settle, on_frame=on_frame
                )
                found = _outcome(feed, judgement, witness, classifier.card.thresholds)
                best = found if best is None or _says_more(found, best) else best
                if judgement.error is not None and judgement.verdict.label is Label.UNKNOWN:
                    raise judgement.error
    except SourceError as e:
        log.debug("feed %s: given up: %s", feed.id, e.code)
    except UsageError as e:
        return failed(feed, e, total_s=time.monotonic() - started_s)
    assert best is not None
    total_s = time.monotonic() - started_s
    return replace(best, result=replace(best.result, total_s=total_s))


def failed(feed: Feed, error: ScenecheckError, *, total_s: float = 0.0) -> Outcome:
    """The outcome of a feed that could not be looked at."""
    result = Result(
        feed=feed.id,
        expect=Label(feed.expect),
        label=Label.UNKNOWN,
        reason=f"no frame came ({error.code})",
        p_indoor=None,
        finished_at=datetime.now(UTC),
        total_s=total_s,
        error=ErrorNote.of(error),
        name=feed.name,
        address=str(feed.source),
        tags=feed.tags,
    )
    return Outcome(result, None)


def _may_pass(error: Exception) -> bool:
    return isinstance(error, SourceError) and error.is_transient


def _says_more(new: Outcome, old: Outcome) -> bool:
    """Whether a later attempt says more than an earlier one: frames count, then what failed last."""
    return new.result.label is not Label.UNKNOWN or new.result.n_frames >= old.result.n_frames


def _model_id(classifier: Classifier) -> bytes:
    return bytes.fromhex(classifier.card.sha256)[:8]


def _outcome(feed: Feed, judgement: Judgement, witness: SecondWitness, thresholds: Thresholds) -> Outcome:
    verdict, evidence = judgement.verdict, judgement.evidence
    result = Result(
        feed=feed.id,
        expect=Label(feed.expect),
        label=verdict.label,
        reason=verdict.reason,
        p_indoor=verdict.p_indoor,
        finished_at=datetime.now(UTC),
        total_s=judgement.total_s,
        label_alone=judge(verdict.sightings, thresholds).label,
        n_frames=len(verdict.sightings),
        conditions=Counter(c for s in verdict.sightings for c in s.conditions),
        error=None if judgement.error is None else ErrorNote.of(judgement.error),
        comparison=witness.comparison,
        open_s=judgement.open_s,
        first_frame_s=judgement.first_frame_s,
        mosaic=None if evidence is None else Mosaic.of(evidence.tile, evidence.heat),
        name=feed.name,
        address=str(feed.source),
        tags=feed.tags,
    )
    return Outcome(result, witness.view)
