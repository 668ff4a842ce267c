"""The second witness: same or moved, how far, and that it can only do to a verdict what it may."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scenecheck.mask import MAX_CELLS
from scenecheck.preprocess import tiles
from scenecheck.types import Condition, Label, Picture, Sighting, Thresholds
from scenecheck.verdict import judge
from scenecheck.view import (
    COARSE_GRID,
    GRID,
    OVERWHELMING_ODDS,
    STRICT_FRAMES,
    Comparison,
    View,
    compare,
    merge,
    with_reference,
)

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
THRESHOLDS = Thresholds(street_below=0.2, indoor_above=0.8)
EMBEDDING = np.ones(16, np.float32)
SAME = Comparison(True, 0.999, 0.0, 0.0, 0.0, 1.0, "structure+embedding")
MOVED = Comparison(False, 0.001, 0.4, 0.0, 0.0, 1.0, "structure+embedding")
RANK = {Label.STREET: 0, Label.UNKNOWN: 1, Label.INDOOR: 2}


def scene(seed: int) -> NDArray[np.uint8]:
    """A picture ``uint8 [360, 640, 3]`` of walls and poles: boxes and lines of many sizes."""
    rng = np.random.default_rng(seed)
    picture = np.full((360, 640, 3), 120, np.uint8)
    for _ in range(60):
        x, y = int(rng.integers(0, 640)), int(rng.integers(0, 360))
        corner = (x + int(rng.integers(10, 160)), y + int(rng.integers(10, 120)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        if rng.random() < 0.6:
            cv2.rectangle(picture, (x, y), corner, colour, -1)
        else:
            cv2.line(picture, (x, y), corner, colour, int(rng.integers(2, 8)))
    return picture


def tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(tiles([Picture((np.ascontiguousarray(picture),), "bgr")])[0])


def view(picture: NDArray[np.uint8], embedding: NDArray[np.float32] = EMBEDDING) -> View:
    return View.of(tile(picture), embedding)


def warped(
    picture: NDArray[np.uint8], *, zoom: float = 1, degrees: float = 0, x: float = 0
) -> NDArray[np.uint8]:
    matrix = cv2.getRotationMatrix2D((320, 180), degrees, zoom)
    matrix[0, 2] += x * 640
    return np.asarray(cv2.warpAffine(picture, matrix, (640, 360), borderMode=cv2.BORDER_REFLECT_101))


def night(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    noisy = 200 - grey * 0.35 + np.random.default_rng(1).normal(0, 8, grey.shape)
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, 2)


def occluded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = picture.copy()
    out[120:, 200:420] = scene(99)[120:, 200:420]
    return out


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        night,
        occluded,
        lambda p: cv2.GaussianBlur(p, (0, 0), 4),
        lambda p: warped(p, x=0.03, degrees=1),
        lambda p: warped(p, zoom=1.25),
        lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 8])[1], cv2.IMREAD_COLOR),
    ],
    ids=["itself", "negative at night", "truck", "blur", "sway", "digital zoom", "JPEG"],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_compare_when_only_light_people_or_encoder_change_then_same(seed, change):
    found = compare(view(scene(seed)), view(change(scene(seed))))
    assert found.same, found
    assert found.witness == "structure+embedding"


@pytest.mark.parametrize(
    "change",
    [
        lambda p: warped(p, x=0.3),
        lambda p: warped(p, zoom=1.7),
        lambda p: warped(p, degrees=20),
        lambda p: p[::-1, ::-1],
        lambda _: scene(77),
    ],
    ids=["panned", "zoomed", "turned", "upside down", "elsewhere"],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_compare_when_the_camera_was_touched_then_moved_though_embeddings_agree(seed, change):
    found = compare(view(scene(seed)), view(change(scene(seed))))
    assert not found.same, found


@pytest.mark.parametrize(
    ("change", "x", "degrees", "zoom"),
    [
        ({"x": 0.3}, 0.3, 0, 1),
        ({"x": -0.4}, -0.4, 0, 1),
        ({"zoom": 1.5}, 0, 0, 1.5),
        ({"degrees": -12}, 0, 12, 1),
    ],
)
def test_compare_when_moved_then_says_how_far(change, x, degrees, zoom):
    found = compare(view(scene(4)), view(warped(scene(4), **change)))
    assert not found.same
    assert found.shift_x == pytest.approx(x, abs=0.03)
    assert found.shift_y == pytest.approx(0, abs=0.05)
    assert found.rotation_deg == pytest.approx(degrees, abs=3)
    assert found.zoom == pytest.approx(zoom, rel=0.15)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((360, 640, 3), np.uint8), np.full((360, 640, 3), 200, np.uint8)],
    ids=["black", "bright"],
)
def test_compare_when_there_is_nothing_to_see_then_never_same(picture):
    assert compare(view(picture), view(picture)) == Comparison(False, 0.0, None, None, None, None, "none")
    assert not compare(view(scene(1)), view(picture)).same


def test_compare_when_dark_pictures_hold_only_noise_then_not_same():
    a, b = (
        np.random.default_rng(s).normal(12, 6, (360, 640, 3)).clip(0, 255).astype(np.uint8) for s in (1, 2)
    )
    assert not compare(view(a), view(b)).same


@pytest.mark.parametrize("n_lamps", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("noise", [0, 6])
def test_compare_when_there_are_only_lamps_in_the_dark_then_a_chance_fit_is_not_same(n_lamps, noise):
    def lamps(seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        picture = rng.normal(10, noise, (360, 640, 3)).clip(0, 255).astype(np.uint8)
        for _ in range(n_lamps):
            centre = (int(rng.uniform(120, 520)), int(rng.uniform(80, 280)))
            cv2.circle(picture, centre, int(rng.integers(4, 24)), (240, 240, 240), -1)
        return picture

    assert not any(compare(view(lamps(2 * s)), view(lamps(2 * s + 1))).same for s in range(30))


def test_compare_when_only_overlay_and_bars_agree_then_moved():
    pictures = [scene(s) for s in (5, 6)]
    for p in pictures:
        p[:, :80] = p[:, -80:] = 0
        cv2.putText(
            p, "2026-01-01 12:00:00 CAM 01", (90, 24), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 3
        )
        cv2.putText(p, "Simpang Lima", (300, 352), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 3)
    assert not compare(*map(view, pictures)).same


def test_compare_when_embeddings_are_of_other_models_then_structure_alone_decides():
    a = View.of(tile(scene(1)), EMBEDDING, model=b"a" * 8)
    b = View.of(tile(scene(1)), -EMBEDDING, model=b"b" * 8)
    assert compare(a, b).same
    assert compare(a, b).witness == "structure"


def test_compare_when_the_embedding_contradicts_then_the_score_falls():
    agrees = compare(view(scene(1)), view(occluded(scene(1)))).score
    assert compare(view(scene(1)), view(occluded(scene(1)), -EMBEDDING)).score < agrees


def test_merge_when_people_pass_then_the_empty_view_remains():
    crowds = []
    for k in range(6):
        p = scene(1)
        p[60:, k * 100 : k * 100 + 250] = scene(50 + k)[60:, k * 100 : k * 100 + 250]
        crowds.append(view(p))
    reference = merge(crowds)
    assert reference.n_frames == 6
    assert compare(reference, view(scene(1))).score > compare(crowds[2], view(scene(1))).score
    with pytest.raises(ValueError, match="one model"):
        merge([reference, reference.coarse()])
    with pytest.raises(ValueError, match="at least one"):
        merge([])


def test_coarse_when_a_view_is_not_proven_then_no_more_cells_than_a_mosaic_and_no_embedding():
    coarse = view(scene(1)).coarse()
    assert COARSE_GRID == MAX_CELLS
    assert coarse.field.size == 2 * 9 * 16
    assert coarse.embedding.size == 0
    assert len(coarse.to_bytes()) < 320
    assert compare(coarse, view(scene(1))).witness == "coarse"
    assert compare(coarse, view(scene(1))).same
    assert not compare(coarse, view(scene(2))).same


def test_bytes_when_stored_then_come_back_and_compare_alike():
    for stored in (view(scene(1)), view(scene(1)).coarse(), merge([view(scene(1)), view(scene(2))])):
        back = View.from_bytes(stored.to_bytes())
        assert back.to_bytes() == stored.to_bytes()
        assert compare(back, view(scene(1))) == compare(stored, view(scene(1)))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_bytes_when_hostile_then_a_value_error_or_a_view_that_compares(data):
    good = bytearray(view(scene(1)).to_bytes()[: data.draw(st.integers(0, 8600))])
    for _ in range(data.draw(st.integers(0, 4))):
        if good:
            good[data.draw(st.integers(0, min(len(good) - 1, 30)))] = data.draw(st.integers(0, 255))
    good += data.draw(st.binary(max_size=20))
    try:
        found = View.from_bytes(bytes(good))
    except ValueError:
        return
    assert found.field.shape[1:] in (GRID, COARSE_GRID)
    assert 0 <= compare(found, found).score <= 1


def test_of_when_shapes_are_wrong_then_says_so():
    with pytest.raises(ValueError, match="tile"):
        View.of(np.zeros((180, 320, 3), np.uint8), EMBEDDING)
    with pytest.raises(ValueError, match="finite"):
        View.of(tile(scene(1)), np.full(4, np.nan, np.float32))
    with pytest.raises(ValueError, match="embedding"):
        View.of(tile(scene(1)), np.zeros(0, np.float32))


# --- the verdict of a feed with a reference ------------------------------------------------------

sightings = st.lists(
    st.builds(
        Sighting,
        at_s=st.floats(0, 10),
        p_indoor=st.floats(0, 1),
        conditions=st.frozensets(st.sampled_from(Condition), max_size=1) | st.just(frozenset()),
    ),
    max_size=8,
)
thresholds = st.tuples(st.floats(0.01, 0.5), st.floats(0.51, 0.98)).map(lambda t: Thresholds(*t))
comparisons = st.builds(
    Comparison,
    same=st.booleans(),
    score=st.floats(0, 1),
    shift_x=st.none(),
    shift_y=st.none(),
    rotation_deg=st.none(),
    zoom=st.none(),
    witness=st.sampled_from(("structure", "structure+embedding", "coarse", "none")),
)


@given(sightings, comparisons, thresholds)
@settings(max_examples=400)
def test_with_reference_when_moved_then_never_more_lenient_than_without(seen, comparison, limits):
    moved = Comparison(False, comparison.score, None, None, None, None, comparison.witness)
    base, found = judge(seen, limits), with_reference(seen, moved, thresholds=limits)
    assert RANK[found.label] >= RANK[base.label]
    assert base.is_certain or not found.is_certain


@given(sightings, comparisons, thresholds)
@settings(max_examples=400)
def test_with_reference_when_same_then_a_clear_indoor_stays_indoor(seen, comparison, limits):
    base, found = judge(seen, limits), with_reference(seen, comparison, thresholds=limits)
    odds = limits.indoor_above / (1 - limits.indoor_above) * OVERWHELMING_ODDS
    worst = max((s.p_indoor for s in seen if s.is_evidence), default=0)
    if worst > odds / (1 + odds) + 1e-9:
        assert RANK[found.label] >= RANK[base.label]
    if comparison.same:
        assert RANK[found.label] <= RANK[base.label]


@given(sightings, comparisons)
def test_with_reference_when_all_frames_are_old_or_broken_then_sameness_proves_nothing(seen, comparison):
    old = [Sighting(s.at_s, s.p_indoor, frozenset({Condition.FROZEN})) for s in seen]
    assert with_reference(old, comparison, thresholds=THRESHOLDS).label is Label.UNKNOWN


def at(*p: float, condition: Condition | None = None) -> list[Sighting]:
    return [Sighting(float(k), x, frozenset({condition} if condition else ())) for k, x in enumerate(p)]


@pytest.mark.parametrize(
    ("seen", "comparison", "label"),
    [
        ([], SAME, Label.UNKNOWN),
        (at(0.1, 0.1), None, Label.STREET),
        (at(0.5, 0.5), None, Label.UNKNOWN),
        (at(0.5, 0.5), SAME, Label.STREET),
        (at(0.85, 0.85), SAME, Label.STREET),
        (at(0.99, 0.99), SAME, Label.INDOOR),
        (at(0.5, condition=Condition.DARK), SAME, Label.STREET),
        (at(0.5, condition=Condition.DAMAGED), SAME, Label.UNKNOWN),
        (at(0.01, 0.01), MOVED, Label.UNKNOWN),
        (at(*[0.01] * STRICT_FRAMES), MOVED, Label.STREET),
        (at(*[0.1] * STRICT_FRAMES), MOVED, Label.UNKNOWN),
        (at(0.9, 0.9), MOVED, Label.INDOOR),
    ],
)
def test_with_reference_when_both_witnesses_speak_then_the_table_holds(seen, comparison, label):
    assert with_reference(seen, comparison, thresholds=THRESHOLDS).label is label


def test_compare_when_the_samples_are_other_cameras_then_all_moved_and_each_itself():
    pictures = [cv2.imread(str(p)) for p in sorted(SAMPLES.glob("*.jpg"))[:24]]
    assert len(pictures) > 5, "samples/ is part of the repository"
    views = [view(p) for p in pictures]
    assert all(compare(v, v).same for v in views if v.texture > 0.1)
