"""Pictures that no camera looking at a street or a room delivers, drawn by the dozen from a seed.

Nothing is stored: every kind is a function of a random generator, so that a score of novelty can be judged
(never fitted) on as many as one likes. They are drawn as large as a camera's substream and then go through
JPEG, for whatever reaches the product has been encoded.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.drawn.brushes import H, Rgb, Rng, W
from training.drawn.graphics import (
    cartoon,
    chart,
    code,
    desktop,
    document,
    line_drawing,
    no_signal,
    photographed_screen,
    street_map,
    test_card,
)
from training.drawn.matter import broken_stream, covering, gradient, lens_cap, texture

__all__ = ["KINDS", "H", "W", "picture"]

KINDS: dict[str, Callable[[Rng], Rgb]] = {
    f.__name__.replace("_", " "): f
    for f in (
        line_drawing, cartoon, chart, street_map, test_card, no_signal, desktop, document, code,
        photographed_screen, gradient, texture, lens_cap, covering, broken_stream,
    )
}  # fmt: skip


def picture(kind: str, number: int, *, seed: int = 0) -> Rgb:
    """Picture ``number`` of a kind, ``uint8 [360, 640, 3]`` RGB, after JPEG; the same in any company."""
    rng = np.random.default_rng((seed, list(KINDS).index(kind), number))
    drawn = np.ascontiguousarray(KINDS[kind](rng)[..., ::-1])
    encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])[1]
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])
