"""All that may be shown of a view: mosaics that hide it, and explanations drawn on them.

A view not proven street is reduced to at most 16x9 cells before anything else touches it. No other
module draws pictures for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_CELLS = (9, 16)
"""Rows and columns of the finest mosaic: 144 colours show light and sky, and nobody's face or bed."""

_WIDTH_PX = 960
_STRIP_PX = 84
_COLOURS = {Label.STREET: (94, 160, 46), Label.INDOOR: (40, 40, 210), Label.UNKNOWN: (30, 140, 220)}

_RED, _BLUE = (np.array(bgr, np.float32) for bgr in ((40, 40, 230), (230, 130, 30)))


def pixelate(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce a tile ``uint8 [3, H, W]`` to a mosaic ``uint8 [9, 16, 3]`` RGB of cell means.

    Raises ValueError for another shape.
    """
    if tile.ndim != 3 or tile.shape[0] != 3:
        raise ValueError(f"pixelate: expected a tile [3, H, W], got {tile.shape}")
    rows, columns = MAX_CELLS
    picture = np.ascontiguousarray(tile.transpose(1, 2, 0))
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def explanation(
    tile: NDArray[np.uint8], heat: NDArray[np.float32], *, label: Label, lines: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw where the classifier saw an interior, as a picture ``uint8 [h, w, 3]`` in BGR.

    ``tile`` ``uint8 [3, H, W]`` is shown in the clear only when ``label`` is street; otherwise its
    mosaic is. ``heat`` ``float32 [h, w]`` holds log-odds: positive speaks for indoor (red), negative
    for street (blue). ``lines`` (at most two) stand below.
    """
    scale = max(1, _WIDTH_PX // tile.shape[2])
    height, width = tile.shape[1] * scale, tile.shape[2] * scale
    if label is Label.STREET:
        shown = cv2.resize(tile.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_CUBIC)
    else:
        shown = cv2.resize(pixelate(tile), (width, height), interpolation=cv2.INTER_NEAREST)
    picture = _overlay(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR).astype(np.float32), heat)
    canvas = np.full((height + _STRIP_PX, width, 3), 24, np.uint8)
    canvas[:height] = picture
    canvas[height : height + 6] = _COLOURS[label]
    cv2.putText(
        canvas,
        label.value.upper(),
        (18, height + 56),
        cv2.FONT_HERSHEY_DUPLEX,
        1.2,
        _COLOURS[label],
        2,
        cv2.LINE_AA,
    )
    for i, line in enumerate(lines[:2]):
        # OpenCV's fonts hold ASCII only.
        text = line.replace("≤", "<=").replace("≥", ">=").encode("ascii", "replace").decode()
        at = (220, height + 36 + 28 * i)
        cv2.putText(canvas, text[:84], at, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (235, 235, 235), 1, cv2.LINE_AA)
    return canvas


def heat_layer(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Heat as a layer to lay over a mosaic: ``float32 [h, w]`` in log-odds to ``uint8 [h, w, 4]`` BGRA.

    Red speaks for indoor, blue for street, what says nothing is transparent.
    """
    colour, alpha = _tint(np.tanh(heat / np.float32(6.0)))
    return np.asarray(np.concatenate([colour, alpha * 255], axis=2).round(), np.uint8)


def _overlay(picture: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    colour, alpha = _tint(
        np.tanh(cv2.resize(heat.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC) / 6.0)
    )
    mixed = picture * (1 - alpha) + colour * alpha
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def _tint(strength: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour ``[h, w, 3]`` BGR and opacity ``[h, w, 1]`` in 0..0.5 of strengths ``[h, w]`` in -1..1."""
    strength = strength[:, :, None]
    return np.where(strength > 0, _RED, _BLUE), np.float32(0.5) * np.abs(strength)
