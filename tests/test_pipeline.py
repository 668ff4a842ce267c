"""The one path: frames in, a judgement out; an answer even when the camera fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scenecheck
from scenecheck.classifier import Classifier
from scenecheck.errors import StreamError
from scenecheck.pipeline import UNFIT_ALLOWANCE, check, look
from scenecheck.preprocess import tiles
from scenecheck.source import Source, SourceOptions, open_source
from scenecheck.source.base import Watch
from scenecheck.types import Condition, Frame, Label, Picture


@pytest.fixture(scope="module")
def classifier() -> Iterator[Classifier]:
    with Classifier(threads=1) as loaded:
        yield loaded


def bgr(path: Path) -> np.ndarray:
    import cv2

    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


class Scripted:
    """A source that plays given pictures, one per ``step_s``, then ends or fails."""

    name = "scripted"

    def __init__(
        self,
        pictures: list[np.ndarray],
        *,
        step_s: float = 1.0,
        damaged: bool = False,
        error: StreamError | None = None,
    ) -> None:
        self._pictures, self._step_s, self._damaged, self._error = pictures, step_s, damaged, error
        self.n_given = 0

    def frames(self, watch: Watch) -> Iterator[Frame]:
        watch.enter("first-frame")
        for i, picture in enumerate(self._pictures):
            self.n_given += 1
            yield Frame(Picture((picture,), "bgr"), i * self._step_s, watch.clock(), is_damaged=self._damaged)
        if self._error is not None:
            raise self._error


def noisy(picture: np.ndarray, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8) for _ in range(n)]


def seen(reader: Scripted, classifier: Classifier, frames: int = 5) -> scenecheck.Judgement:
    return look(Source(reader, SourceOptions()), classifier, frames=frames)


def test_look_stops_as_soon_as_the_verdict_is_certain(classifier: Classifier, samples_dir: Path) -> None:
    room = noisy(bgr(samples_dir / "bedroom-day-1.jpg"), 30)
    judgement = seen(Scripted(room), classifier)
    assert (judgement.verdict.label, judgement.verdict.is_certain) == (Label.INDOOR, True)
    assert len(judgement.verdict.sightings) == 2


def test_look_when_the_picture_stands_still_then_frozen_is_no_proof(
    classifier: Classifier, samples_dir: Path
) -> None:
    street = [bgr(samples_dir / "junction-1.jpg")] * 20
    judgement = seen(Scripted(street), classifier)
    assert judgement.verdict.label is Label.UNKNOWN
    assert "frozen" in judgement.verdict.reason


def test_look_when_all_frames_are_damaged_then_unknown_after_a_bounded_number(
    classifier: Classifier, samples_dir: Path
) -> None:
    reader = Scripted(noisy(bgr(samples_dir / "junction-1.jpg"), 60), damaged=True)
    judgement = seen(reader, classifier, frames=4)
    assert judgement.verdict.label is Label.UNKNOWN
    assert {s.conditions for s in judgement.verdict.sightings} == {frozenset({Condition.DAMAGED})}
    assert len(judgement.verdict.sightings) == UNFIT_ALLOWANCE * 4


def test_look_when_the_source_fails_after_one_street_frame_then_street_is_not_proven(
    classifier: Classifier, samples_dir: Path
) -> None:
    ended = StreamError("stream-ended", "camera: gone")
    street = noisy(bgr(samples_dir / "junction-1.jpg"), 1)
    judgement = seen(Scripted(street, error=ended), classifier)
    assert judgement.verdict.label is Label.UNKNOWN
    assert judgement.error is ended
    room = noisy(bgr(samples_dir / "bedroom-day-1.jpg"), 1)
    assert seen(Scripted(room, error=ended), classifier).verdict.label is Label.INDOOR


def test_look_when_no_frame_comes_then_unknown_with_the_error(classifier: Classifier) -> None:
    judgement = seen(Scripted([], error=StreamError("stream-ended", "camera: gone")), classifier)
    assert (judgement.verdict.label, judgement.verdict.p_indoor) == (Label.UNKNOWN, None)
    assert judgement.evidence is None
    assert "stream-ended" in judgement.verdict.reason


def test_evidence_is_the_frame_that_spoke_most_for_an_interior(
    classifier: Classifier, samples_dir: Path
) -> None:
    street, room = bgr(samples_dir / "junction-1.jpg"), bgr(samples_dir / "bedroom-day-1.jpg")
    judgement = seen(Scripted([street, room, street, street]), classifier)
    assert judgement.verdict.label is not Label.STREET
    assert judgement.evidence is not None
    assert np.array_equal(judgement.evidence.tile, tiles([Picture((room,), "bgr")])[0])


@pytest.mark.parametrize("name", ["junction-1", "living-room-1"])
def test_still_clip_and_frames_of_it_get_the_scores_the_classifier_gives_alone(
    classifier: Classifier, samples_dir: Path, name: str
) -> None:
    options = SourceOptions(frames=4)
    with open_source(samples_dir / f"{name}.mp4", options) as source:
        frames = list(source)
    batch = classifier.score(tiles([f.picture for f in frames]))
    judgement = look(open_source(samples_dir / f"{name}.mp4", options), classifier, frames=4)
    alone = [s.p_indoor for s in judgement.verdict.sightings]
    assert alone == list(batch.p_indoor[: len(alone)])
    assert len(alone) >= 2


def test_check_without_a_classifier_loads_the_bundled_model(samples_dir: Path) -> None:
    result = check(samples_dir / "junction-1.jpg")
    assert result.verdict.label is Label.STREET
    assert result.error is None


def test_public_names_are_exactly_those_declared() -> None:
    for name in scenecheck.__all__:
        assert getattr(scenecheck, name) is not None
    assert dir(scenecheck) == scenecheck.__all__
    assert set(scenecheck._HOMES) | {"__version__"} == set(scenecheck.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = scenecheck.nonsense
