"""What may be shown: a mosaic that cannot be undone, and explanations drawn on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.mask import MAX_CELLS, explanation, heat_layer, pixelate
from scenecheck.types import Label


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 180, 320), dtype=np.uint8)


def test_pixelate_keeps_cell_means_only() -> None:
    tile = noise(1)
    mosaic = pixelate(tile)
    assert mosaic.shape == (*MAX_CELLS, 3)
    expected = tile.reshape(3, 9, 20, 16, 20).mean((2, 4)).transpose(1, 2, 0)
    assert np.abs(mosaic - expected).max() <= 1


def test_pixelate_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"got \(180, 320, 3\)"):
        pixelate(np.zeros((180, 320, 3), np.uint8))


@given(seed=st.integers(0, 2**16), label=st.sampled_from([Label.INDOOR, Label.UNKNOWN]))
def test_explanation_of_a_view_not_proven_street_depends_on_its_mosaic_alone(seed: int, label: Label) -> None:
    tile = noise(seed)
    # Shuffle the pixels inside each cell: another picture with the same mosaic.
    cells = tile.reshape(3, 9, 20, 16, 20).transpose(1, 3, 0, 2, 4).reshape(144, 3, 400)
    order = np.random.default_rng(seed + 1).permutation(400)
    other = cells[:, :, order].reshape(9, 16, 3, 20, 20).transpose(2, 0, 3, 1, 4).reshape(3, 180, 320)
    assert not np.array_equal(tile, other)
    heat = np.zeros((6, 10), np.float32)
    a, b = (explanation(np.ascontiguousarray(t), heat, label=label, lines=("x",)) for t in (tile, other))
    assert np.array_equal(a, b)


def test_explanation_of_a_street_shows_the_picture() -> None:
    tile = noise(3)
    heat = np.zeros((6, 10), np.float32)
    clear = explanation(tile, heat, label=Label.STREET, lines=("x", "y"))
    hidden = explanation(tile, heat, label=Label.UNKNOWN, lines=("x", "y"))
    assert clear[:540].std() > 3 * hidden[:540].std()


def test_heat_turns_red_for_indoor_and_blue_for_street() -> None:
    tile = np.full((3, 180, 320), 128, np.uint8)
    heat = np.full((6, 10), 10.0, np.float32)
    heat[:, :5] = -10.0
    picture = explanation(tile, heat, label=Label.UNKNOWN, lines=())
    left, right = picture[200, 100].astype(int), picture[200, 860].astype(int)
    assert left[0] > left[2] + 50
    assert right[2] > right[0] + 50


def test_heat_layer_is_red_for_indoor_blue_for_street_and_clear_where_nothing_speaks() -> None:
    layer = heat_layer(np.array([[20.0, 0.0, -20.0]], np.float32))
    assert layer.shape == (1, 3, 4)
    indoor, nothing, street = layer[0].astype(int)
    assert indoor[2] > indoor[0] + 50
    assert street[0] > street[2] + 50
    assert [indoor[3], nothing[3], street[3]] == [127, 0, 127]
    assert heat_layer(np.empty((0, 0), np.float32)).shape == (0, 0, 4)
