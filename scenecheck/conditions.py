"""What speaks against a frame as evidence, seen in its tile alone and beside the one before.

A condition means that there is nothing to judge, not that judging is hard: night, fog and rain are
evidence. Every limit below lies between what 515 stills of 171 real CCTV cameras showed, night and
fog included, and what black, covered, over-exposed, defocused or signal-less pictures showed;
``python -m benchmarks.conditions`` prints both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from scenecheck.types import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OSD_SHARE = 0.12
"""Share of the height left out at top and bottom: names and clocks burnt in there stay sharp, bright
and moving, whatever happens to the lens."""

DARK_LEVEL = 35.0
"""Grey level that even the brightest 2 % of the blocks stay below. Real nights: 46 and above; a
covered lens with the sensor's gain up: 32."""

BRIGHT_LEVEL = 225.0
"""Grey level that even the darkest 2 % of the blocks stay above. Real pictures: 125 and below, the
brightest of 5,555 photographs 180; white-out: 244."""

FLAT_RANGE = 20.0
"""Grey levels between the darkest and the brightest 2 % of the blocks, in the most varied channel.
Real pictures: 41 and above, thick fog 26; covered lenses, vignetting included: 16 and below."""

FLAT_SHARE = 0.925
"""Share of pixels that differ from none of their neighbours by more than `FLAT_STEP`. Real pictures:
0.889 and below (a night of crushed blacks); no-signal cards with text and colour bars: 0.934."""

FLAT_STEP = 3
"""Grey levels by which JPEG and H.264 stir a drawn area."""

BLURRED_RATIO = 0.12
"""Fine contrast (edges of a pixel or two) relative to coarse contrast. Real pictures: 0.144 and above;
defocused by 12 px at 1080p: 0.119 and below. Measured on edges, so noise only ever raises it."""

BLURRED_RATIO_DENOISED = 0.05
"""The same after what looks like noise was taken off the fine contrast: finds strong defocus under
noise. Real pictures: 0.069 and above, hands and tape before the lens: 0.02 and below."""

FROZEN_AFTER_S = 0.9
"""Stream time between two pictures before sameness counts: below, a static scene behind a noise filter
may repeat itself; keyframes of cameras come once a second or slower."""

FROZEN_LEVELS = 0.15
"""Mean difference in grey levels of a picture that stands still. Real static views a second apart:
0.68 and above (sensor noise, light, leaves); a repeated picture: 0."""

_SIZE = (180, 320)
"""Rows and columns at which every limit above was found; larger tiles are shrunk to it first."""
_BLOCK_PX = 8
# 98 % of a Gaussian lie below 3.45 times the median of its absolute value.
_NOISE_P98_PER_MEDIAN = 3.45
# Above this the median is texture (leaves, gravel), not noise: a tile averages noise away.
_MAX_NOISE_MEDIAN = 3.0


def conditions(
    tiles: NDArray[np.uint8],
    *,
    damaged: Sequence[bool],
    stale: Sequence[bool],
    live: Sequence[bool],
    at_s: Sequence[float],
    previous: tuple[NDArray[np.uint8], float] | None = None,
) -> list[frozenset[Condition]]:
    """Say what speaks against each of N frames of one source, in their order.

    ``tiles`` ``uint8 [N, 3, H, W]``; ``damaged``, ``stale``, ``live`` and ``at_s`` (seconds of stream
    time) hold N values; ``previous`` is an earlier tile ``[3, H, W]`` and its time, at best what
    `remember` chose. Raises ValueError for another shape or number.
    """
    n = len(tiles)
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[1] != 3:
        raise ValueError(f"tiles: expected uint8 [N, 3, H, W], got {tiles.dtype} {list(tiles.shape)}")
    for name, values in (("damaged", damaged), ("stale", stale), ("live", live), ("at_s", at_s)):
        if len(values) != n:
            raise ValueError(f"{name}: expected {n} values, got {len(values)}")
    frozen = _frozen(tiles, live, at_s, previous)
    found = []
    for i in range(n):
        here = _seen(tiles[i])
        if damaged[i]:
            here.add(Condition.DAMAGED)
        if stale[i]:
            here.add(Condition.STALE)
        if frozen[i]:
            here.add(Condition.FROZEN)
        found.append(frozenset(here))
    return found


def remember(
    previous: tuple[NDArray[np.uint8], float] | None, tile: NDArray[np.uint8], at_s: float
) -> tuple[NDArray[np.uint8], float]:
    """Choose the ``previous`` of the next call: the old one until `FROZEN_AFTER_S` has gone by.

    So that a stream of frames 40 ms apart is compared over a time that means something.
    """
    if previous is not None and 0 <= at_s - previous[1] < FROZEN_AFTER_S:
        return previous
    return tile, at_s


def _at_size(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tile ``[3, H, W]`` averaged down to `_SIZE`, if it is larger."""
    if tile.shape[1] <= _SIZE[0] and tile.shape[2] <= _SIZE[1]:
        return tile
    return np.stack([cv2.resize(c, _SIZE[::-1], interpolation=cv2.INTER_AREA) for c in tile])


def _interior(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tile without the strips where text is burnt in."""
    strip = round(tile.shape[1] * OSD_SHARE)
    return tile[:, strip : tile.shape[1] - strip]


def _frozen(
    tiles: NDArray[np.uint8],
    live: Sequence[bool],
    at_s: Sequence[float],
    previous: tuple[NDArray[np.uint8], float] | None,
) -> list[bool]:
    """Whether each live frame shows what an earlier one, at least `FROZEN_AFTER_S` before, showed."""
    earlier = [] if previous is None else [previous]
    result = []
    for tile, is_live, now_s in zip(tiles, live, at_s, strict=True):
        old = next((t for t, then_s in reversed(earlier) if now_s - then_s >= FROZEN_AFTER_S), None)
        result.append(bool(is_live) and old is not None and _is_same(tile, old))
        earlier.append((tile, now_s))
    return result


def _is_same(tile: NDArray[np.uint8], old: NDArray[np.uint8]) -> bool:
    if tile.shape != old.shape:
        return False
    a, b = (np.ascontiguousarray(_interior(t)) for t in (tile, old))
    return float(cv2.norm(a.ravel(), b.ravel(), cv2.NORM_L1)) <= FROZEN_LEVELS * a.size


def _seen(tile: NDArray[np.uint8]) -> set[Condition]:
    """What the picture itself shows, of dark, bright, flat and blurred."""
    inside = _interior(_at_size(tile))
    rgb = cv2.merge(list(inside))
    size = (max(1, inside.shape[2] // _BLOCK_PX), max(1, inside.shape[1] // _BLOCK_PX))
    blocks = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32).reshape(-1, 3)
    luma = blocks @ np.array([0.299, 0.587, 0.114], np.float32)
    low, high = _at(blocks, 0.02), _at(blocks, 0.98)
    found = set()
    if float(_at(luma, 0.98)) < DARK_LEVEL:
        found.add(Condition.DARK)
    if float(_at(luma, 0.02)) > BRIGHT_LEVEL:
        found.add(Condition.BRIGHT)
    if float((high - low).max()) < FLAT_RANGE or _flat_share(inside) > FLAT_SHARE:
        found.add(Condition.FLAT)
    if not found and _is_blurred(rgb):  # where nothing is, sharpness means nothing
        found.add(Condition.BLURRED)
    return found


def _at(values: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The value that ``share`` of ``values`` lie below, along the first axis."""
    k = int(share * (len(values) - 1))
    return np.asarray(np.partition(values, k, axis=0)[k])


def _flat_share(inside: NDArray[np.uint8]) -> float:
    kernel = np.ones((3, 3), np.uint8)
    steps = [
        cv2.subtract(cv2.dilate(channel, kernel), cv2.erode(channel, kernel))
        for channel in np.ascontiguousarray(inside)
    ]
    largest = cv2.max(cv2.max(steps[0], steps[1]), steps[2])
    return int(np.count_nonzero(np.asarray(largest) <= FLAT_STEP)) / largest.size


def _is_blurred(rgb: NDArray[np.uint8]) -> bool:
    """Compare contrast at the scale of a pixel with contrast eight times as coarse."""
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    fine = cv2.absdiff(grey, cv2.GaussianBlur(grey, (5, 5), 1.0)).ravel()
    small = cv2.resize(
        grey, (max(1, grey.shape[1] // 4), max(1, grey.shape[0] // 4)), interpolation=cv2.INTER_AREA
    )
    coarse = np.asarray(cv2.absdiff(small, cv2.GaussianBlur(small, (0, 0), 2.0)), np.float32).ravel()
    k_median, k_edges = int(0.5 * (fine.size - 1)), int(0.98 * (fine.size - 1))
    ordered = np.partition(fine, (k_median, k_edges))
    median, edges = float(ordered[k_median]), float(ordered[k_edges])
    contrast = float(_at(np.asarray(coarse, np.float32), 0.98)) + 1.0
    noise = _NOISE_P98_PER_MEDIAN * min(median, _MAX_NOISE_MEDIAN)
    return edges / contrast <= BLURRED_RATIO or max(0.0, edges - noise) / contrast <= BLURRED_RATIO_DENOISED
