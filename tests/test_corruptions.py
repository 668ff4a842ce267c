"""Every corruption is seeded, keeps the shape and leaves its input alone; hard ones change more than mild ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scenecheck.evaluation.codecs import through_codec
from scenecheck.evaluation.corruptions import CORRUPTIONS

SHAPES = [(180, 320), (121, 203)]  # the second: odd sides, which 4:2:0 cannot carry


def scene(shape: tuple[int, int]) -> np.ndarray:
    """Shaded blocks with fine texture: something every corruption can damage. ``uint8 [h, w, 3]``."""
    rng = np.random.default_rng(7)
    h, w = shape
    coarse = rng.integers(40, 216, (6, 9, 3)).astype(np.uint8)
    blocks = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_NEAREST).astype(np.int16)
    return np.clip(blocks + rng.integers(-12, 13, (h, w, 1)), 0, 255).astype(np.uint8)


def _change(name: str, severity: float, picture: np.ndarray) -> float:
    """Mean absolute change over a few seeds, in grey levels."""
    out = [CORRUPTIONS[name](picture, severity, np.random.default_rng(seed)) for seed in range(6)]
    return float(np.mean([np.abs(o.astype(np.float32) - picture).mean() for o in out]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_when_applied_then_keeps_shape_dtype_and_input(name: str, shape: tuple[int, int]) -> None:
    picture = scene(shape)
    before = picture.copy()
    for severity in (0.0, 1.0):
        out = CORRUPTIONS[name](picture, severity, np.random.default_rng(3))
        assert out.shape == picture.shape
        assert out.dtype == np.uint8
        assert np.array_equal(picture, before)
        assert not np.shares_memory(out, picture)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruption_when_seeded_alike_then_is_the_same_to_the_byte(name: str) -> None:
    picture = scene(SHAPES[0])
    first, second = (CORRUPTIONS[name](picture, 0.7, np.random.default_rng(11)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, picture)


@pytest.mark.parametrize(
    "name", sorted(set(CORRUPTIONS) - {"upside_down", "grey"})
)  # their change has no degree
def test_corruption_when_more_severe_then_changes_more(name: str) -> None:
    picture = scene(SHAPES[0])
    assert _change(name, 1.0, picture) > 1.1 * _change(name, 0.0, picture)


@pytest.mark.parametrize("name", ["grey", "infrared"])
def test_colourless_corruptions_when_applied_then_leave_no_colour(name: str) -> None:
    out = CORRUPTIONS[name](scene(SHAPES[0]), 0.5, np.random.default_rng(0)).astype(np.int16)
    assert np.ptp(out, axis=2).max() == 0


def test_upside_down_when_applied_twice_then_gives_the_picture_back() -> None:
    picture, rng = scene(SHAPES[0]), np.random.default_rng(0)
    turned = CORRUPTIONS["upside_down"](picture, 0.5, rng)
    assert np.array_equal(CORRUPTIONS["upside_down"](turned, 0.5, rng), picture)


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_codec_when_crf_is_low_then_the_picture_is_nearly_itself(encoder: str) -> None:
    picture = cv2.GaussianBlur(scene(SHAPES[0]), (0, 0), 4)
    fine, coarse = (through_codec(picture, encoder, crf).astype(np.float32) for crf in (10, 48))
    assert np.abs(fine - picture).mean() < 3.0
    assert np.abs(coarse - picture).mean() > np.abs(fine - picture).mean()
