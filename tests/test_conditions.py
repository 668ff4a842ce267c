"""Conditions catch what shows nothing, and leave night, fog and rain alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.conditions import (
    MAX_FALSE_SHARE,
    as_recorded,
    defocus,
    nothing_to_see,
    of_stills,
    read_stills,
)
from scenecheck.conditions import FROZEN_AFTER_S, conditions, remember
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import picture_from_bgr, tiles
from scenecheck.types import Condition

Tile = npt.NDArray[np.uint8]
ROOT = Path(__file__).resolve().parent.parent
STILLS = sorted((ROOT / "samples").glob("*.jpg"))
CLIPS = sorted((ROOT / "samples").glob("*.mp4"))


def still(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(decode_picture(path.read_bytes(), path.name).planes[0], np.uint8)


def live(
    batch: Tile, at_s: list[float], previous: tuple[Tile, float] | None = None
) -> list[frozenset[Condition]]:
    n = len(batch)
    return conditions(
        batch, damaged=[False] * n, stale=[False] * n, live=[True] * n, at_s=at_s, previous=previous
    )


@pytest.fixture(scope="module")
def view() -> Tile:
    """A street, ``uint8 [3, H, W]``."""
    return tiles([picture_from_bgr(still(ROOT / "samples" / "junction-1.jpg"))])[0]


def test_conditions_when_there_is_nothing_to_see_then_it_is_said() -> None:
    nothing = nothing_to_see()
    found = of_stills([picture for picture, _ in nothing.values()])
    wanted = [(name, expected) for name, (_, expected) in nothing.items()]
    missed = {name: here for here, (name, expected) in zip(found, wanted, strict=True) if not here & expected}
    assert missed == {}
    assert len(nothing) >= 30


@pytest.mark.parametrize("path", STILLS, ids=lambda p: p.stem)
def test_conditions_when_a_sample_is_clear_then_nothing_speaks_against_it(path: Path) -> None:
    assert of_stills([still(path)]) == [frozenset()]


@pytest.mark.parametrize("path", STILLS[::4], ids=lambda p: p.stem)
def test_conditions_when_a_sample_is_out_of_focus_then_it_is_blurred(path: Path) -> None:
    rng = np.random.default_rng(4)
    for sigma_px in (12, 20):
        assert of_stills([defocus(still(path), sigma_px, rng)]) == [frozenset({Condition.BLURRED})]


@pytest.mark.parametrize("gain", [0.04, 0.1])
def test_conditions_when_the_light_goes_then_a_street_turns_dark(gain: float) -> None:
    street = still(ROOT / "samples" / "junction-1.jpg").astype(np.float32)
    assert Condition.DARK in of_stills([as_recorded(street * gain, osd=True)])[0]


def test_conditions_when_one_lamp_lights_a_black_street_then_it_is_evidence() -> None:
    night = still(ROOT / "samples" / "night-street-1.jpg")
    assert of_stills([as_recorded(night.astype(np.float32) * 0.6)]) == [frozenset()]


def test_conditions_when_fog_takes_contrast_then_it_is_evidence() -> None:
    street = still(ROOT / "samples" / "junction-1.jpg").astype(np.float32)
    assert of_stills([as_recorded(170 + 0.3 * (street - 128))]) == [frozenset()]


def _frames(path: Path) -> Iterator[tuple[Tile, float]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield tiles([picture_from_bgr(frame.to_ndarray(format="bgr24"))])[0], float(frame.time or 0.0)


@pytest.mark.parametrize("path", CLIPS, ids=lambda p: p.stem)
def test_conditions_when_a_fixed_camera_films_then_no_frame_is_frozen(path: Path) -> None:
    previous: tuple[Tile, float] | None = None
    n_compared = 0
    for tile, at_s in _frames(path):
        assert live(tile[None], [at_s], previous) == [frozenset()], at_s
        n_compared += previous is not None and at_s - previous[1] >= FROZEN_AFTER_S
        previous = remember(previous, tile, at_s)
    assert n_compared >= 1, "the clip is too short to show anything"


def test_conditions_when_a_live_picture_repeats_then_it_is_frozen(view: Tile) -> None:
    batch = np.stack([view] * 4)
    found = live(batch, [0.0, 0.5, 1.0, 1.5])
    frozen = frozenset({Condition.FROZEN})
    assert found == [frozenset(), frozenset(), frozen, frozen]
    assert live(batch[:1], [7.0], (view, 6.0)) == [frozen]
    assert live(batch[:1], [6.5], (view, 6.0)) == [frozenset()], "too soon to say"


def test_conditions_when_only_the_clock_moves_then_the_picture_is_frozen(view: Tile) -> None:
    later = view.copy()
    later[:, 4:16, 10:120] = 255 - later[:, 4:16, 10:120]
    assert live(np.stack([view, later]), [0.0, 1.0])[1] == {Condition.FROZEN}


def test_conditions_when_a_repeat_is_coded_anew_then_it_is_frozen_but_noise_is_not(view: Tile) -> None:
    rng = np.random.default_rng(0)
    recoded = view.copy()
    recoded[rng.random(view.shape) < 0.05] ^= 1
    noisy = np.clip(view + rng.normal(0, 1, view.shape), 0, 255).astype(np.uint8)
    assert live(np.stack([view, recoded]), [0.0, 2.0])[1] == {Condition.FROZEN}
    assert live(np.stack([view, noisy]), [0.0, 2.0])[1] == frozenset()


def test_conditions_when_a_still_repeats_then_nothing_is_frozen(view: Tile) -> None:
    batch = np.stack([view, view])
    found = conditions(batch, damaged=[False] * 2, stale=[False] * 2, live=[False] * 2, at_s=[0.0, 5.0])
    assert found == [frozenset(), frozenset()]


def test_conditions_when_the_size_or_the_clock_jumps_then_nothing_is_frozen(view: Tile) -> None:
    other = np.ascontiguousarray(view[:, :90])
    assert live(view[None], [9.0], (other, 0.0)) == [frozenset()]
    assert live(view[None], [0.0], (view, 9.0)) == [frozenset()], "time went back: a new stream"


def test_remember_when_frames_come_fast_then_the_old_one_is_kept_until_time_has_gone_by(view: Tile) -> None:
    kept: tuple[Tile, float] | None = None
    times = []
    for i in range(60):
        kept = remember(kept, view, 0.04 * i)
        times.append(kept[1])
    assert sorted(set(times)) == pytest.approx([0.0, 0.92, 1.84])
    assert remember((view, 9.0), view, 0.0)[1] == 0.0, "time went back: a new stream"


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=6))
@settings(deadline=None, max_examples=20)
def test_conditions_when_the_decoder_flags_frames_then_the_flags_are_passed_on(
    flags: list[tuple[bool, bool]],
) -> None:
    rng = np.random.default_rng(1)
    batch = rng.integers(0, 256, (len(flags), 3, 45, 80), dtype=np.uint8)
    damaged, stale = [d for d, _ in flags], [s for _, s in flags]
    found = conditions(
        batch, damaged=damaged, stale=stale, live=[True] * len(flags), at_s=list(range(len(flags)))
    )
    assert [(Condition.DAMAGED in f, Condition.STALE in f) for f in found] == flags
    clean = live(batch, list(range(len(flags))))
    assert [f - {Condition.DAMAGED, Condition.STALE} for f in found] == clean


def test_conditions_when_frames_come_alone_or_together_then_the_answers_are_the_same(view: Tile) -> None:
    batch = np.stack([view, view // 12, np.full_like(view, 250), view])
    together = live(batch, [0.0, 0.1, 0.2, 0.3])
    assert together == [live(tile[None], [0.0])[0] for tile in batch]
    assert Condition.DARK in together[1]
    assert Condition.BRIGHT in together[2]


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (9, 16), (224, 224)])
def test_conditions_when_the_tile_has_another_size_then_it_still_answers(size: tuple[int, int]) -> None:
    black = np.zeros((1, 3, *size), np.uint8)
    assert Condition.DARK in live(black, [0.0])[0]


def test_conditions_when_arguments_do_not_fit_then_it_says_which(view: Tile) -> None:
    with pytest.raises(ValueError, match=r"tiles: expected uint8 \[N, 3, H, W\]"):
        live(view, [0.0])
    with pytest.raises(ValueError, match="stale: expected 1 values, got 2"):
        conditions(view[None], damaged=[False], stale=[False] * 2, live=[True], at_s=[0.0])


def test_conditions_when_real_cameras_look_then_hardly_any_evidence_is_discarded(shared_data: Path) -> None:
    stills = read_stills(shared_data / "cctv" / "manifest.csv")
    counts = Counter(c for found in of_stills(list(stills.values())) for c in found)
    assert len(stills) > 500
    assert {c: n for c, n in counts.items() if n > MAX_FALSE_SHARE * len(stills)} == {}


def test_conditions_when_real_cameras_film_then_none_is_frozen(shared_data: Path) -> None:
    paths = sorted((shared_data / "cctv" / "clips").glob("*.mp4"))
    assert paths
    for path in paths[::3]:
        previous: tuple[Tile, float] | None = None
        for at, (tile, at_s) in enumerate(_keyframes_or_seconds(path)):
            found = live(tile[None], [at_s], previous)[0]
            assert Condition.FROZEN not in found, (path.name, at)
            previous = remember(previous, tile, at_s)


def _keyframes_or_seconds(path: Path) -> Iterator[tuple[Tile, float]]:
    next_s = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= next_s:
                next_s = float(frame.time or 0.0) + FROZEN_AFTER_S
                bgr = frame.to_ndarray(format="bgr24")
                yield tiles([picture_from_bgr(cv2.resize(bgr, (640, 360)))])[0], float(frame.time or 0.0)
