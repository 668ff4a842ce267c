"""Stored runs as reports meet them: a city of every kind of finding, some of it hostile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from scenecheck.findings import findings
from scenecheck.records import ErrorNote, Memory, Mosaic, Reference, Result, RunSpec
from scenecheck.store import Store, open_store
from scenecheck.types import Condition, Label
from scenecheck.view import GRID, Comparison, View

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
MORNING = datetime(2026, 3, 1, 5, 30, tzinfo=UTC)
SPEC = RunSpec("a" * 64, "scenecheck", "1.0", "b" * 64, 3, {"frames": 5})
EVIL = "<script>alert('x')</script>&\"=\x00\x07\x1b[31m\u202egnp.exe\n]]>"
REFUSED = ErrorNote("connect-refused", "10.9.0.4:554: connection refused", "check the port")
LOGIN = ErrorNote("auth-failed", "10.9.0.5:554: 401 Unauthorized", "check --user and the password")


def mosaic(name: str) -> Mosaic:
    """Of a sample picture, with heat that grows to the right."""
    picture = cv2.resize(cv2.imread(str(SAMPLES / name)), (320, 180))
    heat = np.linspace(-6, 6, 60, dtype=np.float32).reshape(1, 60).repeat(34, axis=0)
    return Mosaic.of(np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1)), heat)


def street(feed: str, **fields: object) -> Result:
    base = Result(
        feed,
        Label.STREET,
        Label.STREET,
        "5 frames",
        0.0123,
        MORNING,
        1.25,
        label_alone=Label.STREET,
        n_frames=5,
        address=f"rtsp://10.9.0.2:554/{feed}",
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def indoor(feed: str, **fields: object) -> Result:
    return street(feed, label=Label.INDOOR, label_alone=Label.INDOOR, p_indoor=0.9987, **fields)


def silent(feed: str, error: ErrorNote = REFUSED, **fields: object) -> Result:
    return street(
        feed, label=Label.UNKNOWN, p_indoor=None, n_frames=0, reason="no frames", error=error, **fields
    )


def doubtful(feed: str, conditions: dict[Condition, int], **fields: object) -> Result:
    return street(feed, label=Label.UNKNOWN, p_indoor=None, conditions=conditions, **fields)


def view() -> View:
    return View(np.ones(1280, np.int8), np.ones((2, *GRID), np.int8))


def _known(result: Result, memory: Memory) -> Memory:
    """What was compared with had to be known."""
    if result.comparison is None:
        return memory
    return replace(memory, reference=Reference(result.feed, Label.STREET, view(), MORNING))


@contextmanager
def stored(path: Path, *mornings: list[Result]) -> Iterator[Store]:
    """A store of one run for each morning, findings as an audit would have them."""
    with open_store(str(path), clock=lambda: MORNING) as store:
        for day, results in enumerate(mornings):
            with store.begin(SPEC) as run:
                memory = run.memory([r.feed for r in results])
                at = MORNING + timedelta(days=day)
                dated = [replace(r, finished_at=at) for r in results]
                run.record([replace(r, findings=findings(r, _known(r, memory[r.feed]))) for r in dated])
                run.finish()
        yield store


def small() -> tuple[list[Result], list[Result]]:
    """Three feeds, two mornings: a street, a camera hung into a room, one that nobody reaches."""
    before = [street("a-street"), street("b-rehung"), street("c-silent")]
    now = [
        street("a-street", name="Simpang Lima", tags=("semarang",), mosaic=mosaic("junction-1.jpg")),
        indoor("b-rehung", name="Jl. Pahlawan", mosaic=mosaic("living-room-1.jpg")),
        silent("c-silent", name=EVIL),
    ]
    return before, now


def city(n: int, *, mornings: int = 1) -> list[list[Result]]:
    """``n`` feeds, a fifth of them with every kind of trouble."""
    room, road = mosaic("living-room-1.jpg"), mosaic("junction-1.jpg")
    moved = Comparison(False, 0.02, 0.25, -0.12, 4.0, 1.25, "structure")
    troubles = (
        lambda feed: indoor(feed, mosaic=room),
        silent,
        lambda feed: silent(feed, LOGIN),
        lambda feed: doubtful(feed, {Condition.FROZEN: 5}, mosaic=road),
        lambda feed: doubtful(feed, {Condition.DARK: 4, Condition.BLURRED: 1}, mosaic=room),
        lambda feed: street(feed, expect=Label.INDOOR, mosaic=road),
        lambda feed: street(feed, label=Label.UNKNOWN, p_indoor=0.41, mosaic=road, comparison=moved),
    )
    dice = random.Random(n)
    days = []
    for _ in range(mornings):
        day = []
        for i in range(n):
            feed = f"smg-{i:05}"
            trouble = troubles[i // 5 % len(troubles)] if i % 5 == 0 and dice.random() < 0.8 else street
            found = trouble(feed)
            day.append(replace(found, name=f"Simpang {i}", tags=("semarang",), total_s=1.0 + dice.random()))
        days.append(day)
    return days
