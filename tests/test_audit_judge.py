"""One feed judged for an audit: attempts, the second witness, one classifier for many."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import stamina

from scenecheck.audit import batch, judge
from scenecheck.audit.batch import MAX_TOGETHER_CPU, SharedClassifier
from scenecheck.audit.judge import ATTEMPTS, SecondWitness, judge_feed
from scenecheck.classifier import Classifier
from scenecheck.feeds import Feed
from scenecheck.pipeline import look
from scenecheck.records import Reference
from scenecheck.redact import Address
from scenecheck.source import open_source
from scenecheck.types import Label
from scenecheck.view import STRICT_FRAMES
from tests.models import HEIGHT, WIDTH, make_tiny_model
from tests.servers.rtsp import RtspServer

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


@pytest.fixture(scope="module")
def bundled() -> Classifier:
    return Classifier(threads=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "BACK_OFF_S", 0.05)
    stamina.instrumentation.set_on_retry_hooks([])


def camera(server: RtspServer, fault: str = "", *, deadline_s: float = 30.0, **query: object) -> Feed:
    return Feed("camera", Address.parse(server.url("junction", fault, **query)), deadline_s=deadline_s)


@pytest.fixture(scope="module")
def server() -> RtspServer:
    clips = {name: SAMPLES / f"{name}-1.mp4" for name in ("junction", "living-room")}
    with RtspServer(clips) as running:
        yield running


def test_a_connection_dropped_once_is_tried_again(server: RtspServer, bundled: Classifier) -> None:
    with server.clean():
        server.default = "fault=close-accept"

        def heal() -> None:
            server.wait_for(lambda: server.requests, 30)
            server.default = ""

        healer = threading.Thread(target=heal)
        healer.start()
        outcome = judge_feed(camera(server), None, bundled)
        healer.join()
        assert len(server.connections) >= 2
    assert (outcome.result.label, outcome.result.error) == (Label.STREET, None)
    assert outcome.view is not None
    assert outcome.result.mosaic is not None


@pytest.mark.parametrize(
    ("fault", "code", "attempts"), [("404", "not-found", 1), ("503", "server-busy", ATTEMPTS)]
)
def test_only_what_may_pass_is_tried_again(
    server: RtspServer, bundled: Classifier, fault: str, code: str, attempts: int
) -> None:
    with server.clean():
        look(open_source(camera(server, fault).source), bundled)
        one_look = len(server.connections)
    with server.clean():
        result = judge_feed(camera(server, fault), None, bundled).result
        assert len(server.connections) == attempts * one_look
    assert result.error is not None
    assert (result.error.code, result.is_unreachable) == (code, True)


def test_all_attempts_together_keep_to_the_deadline(server: RtspServer, bundled: Classifier) -> None:
    with server.clean():
        result = judge_feed(camera(server, "silent-describe", deadline_s=2.0), None, bundled).result
    assert result.error is not None
    assert result.error.code in {"open-timeout", "deadline"}
    assert 1.9 <= result.total_s <= 8.0


def reference(name: str, bundled: Classifier) -> Reference:
    view = judge_feed(Feed("camera", SAMPLES / f"{name}-1.mp4"), None, bundled).view
    assert view is not None
    now = datetime.now(UTC)
    return Reference("camera", Label.STREET, view, now, who="budi", why="as it should be")


def test_a_feed_that_shows_its_reference_stops_early_and_says_same(bundled: Classifier) -> None:
    feed = Feed("camera", SAMPLES / "junction-1.mp4")
    outcome = judge_feed(feed, reference("junction", bundled), bundled)
    assert outcome.result.comparison is not None
    assert outcome.result.comparison.same
    assert (outcome.result.label, outcome.result.n_frames) == (Label.STREET, 2)


def test_a_moved_feed_owes_more_frames_even_if_the_label_holds(bundled: Classifier) -> None:
    feed = Feed("camera", SAMPLES / "junction-1.mp4")
    outcome = judge_feed(feed, reference("house-front-night-ir", bundled), bundled)
    assert outcome.result.comparison is not None
    assert not outcome.result.comparison.same
    assert outcome.result.n_frames >= STRICT_FRAMES
    assert outcome.result.label_alone is Label.STREET
    assert outcome.view is not None
    assert outcome.view.n_frames == outcome.result.n_frames - 1


def test_an_unproven_reference_makes_nothing_more_lenient(bundled: Classifier) -> None:
    feed = Feed("camera", SAMPLES / "living-room-1.mp4")
    proposed = replace(reference("living-room", bundled), who=None, why=None)
    outcome = judge_feed(feed, proposed, bundled)
    assert outcome.result.label is Label.INDOOR
    assert outcome.result.comparison is not None
    assert outcome.result.comparison.same


def test_a_witness_without_a_fit_frame_has_no_view(bundled: Classifier, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((360, 640, 3), np.uint8))
    outcome = judge_feed(Feed("camera", tmp_path / "black.png"), reference("junction", bundled), bundled)
    assert outcome.view is None
    assert outcome.result.comparison is None
    assert outcome.result.label is Label.UNKNOWN
    assert SecondWitness(None, bundled.card.thresholds, bytes(8)).view is None


# --- one classifier for many -----------------------------------------------------------------------


def test_shared_scores_are_those_of_each_tile_alone(tmp_path: Path) -> None:
    card = make_tiny_model(tmp_path).card_path
    tiles = np.random.default_rng(1).integers(0, 256, (64, 3, HEIGHT, WIDTH), dtype=np.uint8)
    with Classifier(card, threads=1) as alone, SharedClassifier(card, threads=1) as shared:
        with ThreadPoolExecutor(32) as pool:
            found = list(pool.map(lambda i: shared.score(tiles[i : i + 1]), range(len(tiles))))
        for i, scores in enumerate(found):
            expected = alone.score(tiles[i : i + 1])
            for name in ("p_indoor", "logits", "embedding", "cam", "is_novel"):
                np.testing.assert_array_equal(getattr(scores, name), getattr(expected, name))


def test_what_arrives_together_is_scored_together_and_a_lone_tile_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = make_tiny_model(tmp_path).card_path
    sizes: list[int] = []
    score, may_go_on, has_begun = Classifier.score, threading.Event(), threading.Event()

    def slow(self: Classifier, tiles: np.ndarray) -> object:
        sizes.append(len(tiles))
        has_begun.set()
        assert may_go_on.wait(30)
        return score(self, tiles)

    tile = np.zeros((1, 3, HEIGHT, WIDTH), np.uint8)
    with SharedClassifier(card, threads=1) as shared, ThreadPoolExecutor(20) as pool:
        monkeypatch.setattr(batch.Classifier, "score", slow)
        first = pool.submit(shared.score, tile)
        assert has_begun.wait(30)
        assert shared.most_together == MAX_TOGETHER_CPU
        shared.most_together = 8
        rest = [pool.submit(shared.score, tile) for _ in range(10)]
        while shared._asked.qsize() < 10:
            assert not first.done()
        may_go_on.set()
        for asked in [first, *rest]:
            assert len(asked.result(30)) == 1
    assert sizes == [1, 8, 2]


def test_a_wrong_tile_fails_for_who_asked_and_the_next_is_scored(tmp_path: Path) -> None:
    card = make_tiny_model(tmp_path).card_path
    with SharedClassifier(card, threads=1) as shared:
        with pytest.raises(ValueError, match="expected"):
            shared.score(np.zeros((1, 3, 4, 4), np.uint8))
        assert len(shared.score(np.zeros((1, 3, HEIGHT, WIDTH), np.uint8))) == 1
