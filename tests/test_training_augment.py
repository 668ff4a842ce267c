"""A training view is cropped to a camera's size, corrupted by the recipe, and repeats for its seed."""

from __future__ import annotations

import numpy as np

from scenecheck.evaluation.corruptions import CORRUPTIONS
from tests.test_corruptions import scene
from training.augment import RECIPE, random_crop, surveillance

HELD_OUT = {"occlusion"}
"""Never trained on, so that stress asks at least one thing that the model has not seen."""


def test_recipe_when_read_then_names_known_corruptions_with_probabilities() -> None:
    names = [name for _, name in RECIPE]
    assert set(names) == set(CORRUPTIONS) - HELD_OUT
    assert len(names) == len(set(names))
    assert all(0 < probability < 1 for probability, _ in RECIPE)


def test_random_crop_when_the_picture_is_square_or_wide_then_fills_the_asked_size() -> None:
    for shape in ((256, 256), (200, 700), (33, 21)):
        out = random_crop(scene(shape), np.random.default_rng(1), size=(180, 320), zoom=0.5)
        assert out.shape == (180, 320, 3)


def test_surveillance_when_seeded_alike_then_repeats_and_otherwise_varies() -> None:
    picture = scene((256, 256))
    views = [surveillance(picture, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert np.array_equal(views[0], views[1])
    assert views[0].shape != views[2].shape or not np.array_equal(views[0], views[2])
    assert all(v.dtype == np.uint8 and v.ndim == 3 for v in views)
