"""What every kind is drawn with."""

from __future__ import annotations

import string

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[int, int, int]

H, W = 360, 640
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_PLAIN)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def any_colour(rng: Rng, low: int = 0, high: int = 256) -> Colour:
    r, g, b = (int(v) for v in rng.integers(low, high, 3))
    return r, g, b


def canvas(colour: Colour) -> Rgb:
    return np.full((H, W, 3), colour, np.uint8)


def word(rng: Rng, longest: int = 9) -> str:
    return "".join(rng.choice(list(string.ascii_lowercase + "  .,0123456789"), int(rng.integers(2, longest))))


def write(out: Rgb, rng: Rng, text: str, at: tuple[int, int], ink: Colour, scale: float) -> None:
    font = FONTS[int(rng.integers(len(FONTS)))]
    cv2.putText(out, text, at, font, scale, ink, max(1, round(scale * 1.5)), cv2.LINE_AA)


def lines_of_text(out: Rgb, rng: Rng, box: tuple[int, int, int, int], ink: Colour) -> None:
    """Ragged lines of made-up words in ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    scale = float(rng.uniform(0.3, 0.55))
    for y in range(top + int(30 * scale), bottom, int(34 * scale)):
        n = max(1, int((right - left) / (18 * scale) * rng.uniform(0.2, 1)))
        write(out, rng, "".join(word(rng) + " " for _ in range(n // 5 + 1))[:n], (left, y), ink, scale)


def smooth(rng: Rng, cells: int, *, channels: int = 3) -> NDArray[np.float32]:
    """Random blotches, ``float32 [H, W, channels]`` in 0..1, ``cells`` across."""
    small = rng.random((max(2, cells * 9 // 16), max(2, cells), channels)).astype(np.float32)
    return cv2.resize(small, (W, H), interpolation=cv2.INTER_CUBIC).reshape(H, W, channels).clip(0, 1)


def clip(picture: NDArray[np.float32]) -> Rgb:
    return np.clip(picture, 0, 255).astype(np.uint8, order="C")


def noisy(picture: NDArray[np.float32], rng: Rng, sigma: float) -> Rgb:
    return clip(picture + rng.normal(0, sigma, picture.shape).astype(np.float32))
