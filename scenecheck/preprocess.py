"""Pictures to tiles: one batch of ``uint8 [N, 3, H, W]`` RGB, the only thing a model ever sees.

Route. Each plane is averaged over areas at its own resolution and only the small planes are turned
into RGB. Averaging and the YUV matrix are both linear, so this equals converting every pixel first
(but for clipping and rounding) at a fraction of the cost. The whole picture is stretched to the
tile: nothing at the edges goes unseen. 480x270 stands to every common camera size and its 4:2:0
chroma in a ratio of small whole numbers (1080p 4:1, 720p 8:3, 360p 4:3), so for those each tile
sample is a mean over samples with small whole weights.

Arithmetic, the same bits on every machine for such ratios (a model card pins tiles by hash):

- an area mean is the exact integer sum divided once, ties rounded up: to whole grey levels for
  ``bgr``, to quarter levels for the planes of ``yuv``, ``nv12`` and ``gray``;
- YUV to RGB takes those quarter levels through a matrix whose entries are multiples of 2**-12. Every
  product and partial sum is then a multiple of 2**-14 below 2**10, exact in ``float32``, so neither
  the order of summation nor fused multiply-add can change a bit. The result is saturated and rounded
  to 1/64 level, then to whole levels, ties to even both times;
- other ratios use ``cv2.resize``, then the same conversion: ``INTER_AREA`` for what shrinks,
  ``INTER_LINEAR_EXACT`` for what grows (an area mean would only draw the small picture's pixels as blocks).
"""

from __future__ import annotations

import math
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from scenecheck.types import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scenecheck.types import Matrix

    Plane = NDArray[np.uint8] | NDArray[np.uint16]
    Sums = NDArray[np.uint16] | NDArray[np.uint32]

PREPROCESS_VERSION = 2
"""Raised by every change that alters a tile; the model card names the one it was trained with."""

TILE_SIZE = (270, 480)
"""Height and width in pixels of the bundled model's tile."""

# Luma weights Kr, Kb of ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance).
_LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}

# Small planes keep quarters of a grey level: rounding them to whole levels would alone cost 0.4
# levels of error after the matrix. Two bits here and 12 in the matrix fill float32's 24 exactly.
_STEPS_PER_LEVEL = 4
_MATRIX_STEPS_PER_UNIT = 4096

# OpenCV's 16-bit matrix product works around an offset of 2**15. Results in 1/64 levels stay exact
# beside it (below 2**16, multiples of 2**-8); whole levels would lose their last bits there.
_RGB_STEPS_PER_LEVEL = 64

_MAX_PERIOD = 3
"""Output samples after which the weights of an exact mean repeat; 704x576 would need fifteen and more."""


def _rgb_matrix(matrix: Matrix, full_range: bool) -> NDArray[np.float32]:
    """Affine map ``[3, 4]`` from (Y, U, V) in quarter levels to RGB in 1/64 levels."""
    kr, kb = _LUMA_WEIGHTS[matrix]
    kg = 1.0 - kr - kb
    luma_gain, chroma_gain, luma_offset = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    m = np.array(
        [
            [1.0, 0.0, 2 * (1 - kr)],
            [1.0, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1.0, 2 * (1 - kb), 0.0],
        ]
    ) * [luma_gain, chroma_gain, chroma_gain]
    m = np.rint(m * _MATRIX_STEPS_PER_UNIT) / _MATRIX_STEPS_PER_UNIT
    b = -m @ np.array([[luma_offset], [128.0], [128.0]])
    return (np.hstack([m / _STEPS_PER_LEVEL, b]) * _RGB_STEPS_PER_LEVEL).astype(np.float32)


_RGB_MATRICES = {(m, full): _rgb_matrix(m, full) for m in _LUMA_WEIGHTS for full in (False, True)}


class _Shrinker:
    """Area means of ``n_planes`` planes of one shape, dtype and depth, with buffers to work in.

    ``shape`` is (h, w) or (h, w, C) of a plane; its channels count as planes. Means come in
    ``steps`` units a grey level of 8 bits. Everything that does not depend on the samples is done
    here once: at model size the arithmetic is so short that slicing and fresh memory would show.
    """

    def __init__(
        self, shape: tuple[int, ...], n_planes: int, *, bits: int, steps: int, size: tuple[int, int]
    ) -> None:
        h, w = shape[:2]
        self._height, self._width = size
        self._n_channels = shape[2] if len(shape) == 3 else 1
        n_means = n_planes * self._n_channels
        rows, columns = Fraction(h, self._height), Fraction(w, self._width)
        scale = 1 << (bits - 8)
        n = rows.numerator * columns.numerator
        # The largest value on the way, gain and rounding included.
        peak = _peak(n, scale, steps, bits)
        has_period = max(rows.denominator, columns.denominator) <= _MAX_PERIOD
        self._is_exact = min(rows, columns) >= 1 and has_period and peak < 1 << 31
        if not self._is_exact:
            rows = columns = Fraction(1)
            n, peak = 1, _peak(1, scale, steps, bits)
        common = math.gcd(n * scale, steps)
        self._gain, self._divisor = steps // common, n * scale // common
        self._dtype = np.uint16 if peak < 1 << 16 else np.int32
        width_in = w if self._is_exact else self._width
        self._rows = np.empty((n_means * self._height, width_in), self._dtype)
        self._interleaved = np.empty((self._height, width_in, self._n_channels), self._dtype)
        self._row_sums = list(self._rows.reshape(n_means, self._height, width_in))
        self._column_steps: list[tuple[NDArray[Any], list[NDArray[Any]], NDArray[Any]]] = []
        self._sum_rows_of = _RowSums(rows, self._dtype)
        self._turned: tuple[NDArray[Any], NDArray[Any], _RowSums] | None = None
        if columns.denominator == 1:
            self._sums = self._plan_columns(columns.numerator)
        else:  # columns are summed as rows of the turned picture
            n_rows = len(self._rows)
            turned = [np.empty((k, n_rows), self._dtype) for k in (width_in, self._width)]
            self._turned = turned[0], turned[1], _RowSums(columns, self._dtype)
            self._sums = np.empty((n_rows, self._width), self._dtype)
        self._means = np.empty((n_means * self._height, self._width), np.uint16)
        self._results = list(self._means.reshape(n_means, *size))

    def _plan_columns(self, k: int) -> NDArray[Any]:
        """Plan the sums of ``k`` neighbours in each row, one factor after another; the last sums."""
        sums: NDArray[Any] = self._rows
        while k > 1:
            factor = next((f for f in (3, 4, 2) if k % f == 0), k)
            k //= factor
            groups = sums.reshape(len(sums), -1, factor)
            if factor <= 4:  # OpenCV deinterleaves up to four channels with SIMD
                parts = [np.empty(groups.shape[:2], self._dtype) for _ in range(factor)]
                total = parts[0]
            else:
                parts = [groups[:, :, i] for i in range(factor)]
                total = np.empty(groups.shape[:2], self._dtype)
            self._column_steps.append((groups, parts, total))
            sums = total
        return sums

    @property
    def n_bytes(self) -> int:
        """Memory held, within a factor of two."""
        return 2 * int(self._rows.nbytes + self._interleaved.nbytes)

    def __call__(self, planes: Sequence[Plane]) -> list[NDArray[np.uint16]]:
        """The means ``uint16 [H, W]`` of each channel of each plane, valid until the next call."""
        if self._n_channels == 1:
            for plane, sums in zip(planes, self._row_sums, strict=True):
                self._sum_rows(plane, sums)
        else:
            flat = self._interleaved.reshape(self._height, -1)
            self._sum_rows(planes[0], flat)
            cv2.split(self._interleaved, self._row_sums)
        if self._turned is not None:
            turned, turned_sums, sum_columns = self._turned
            cv2.transpose(self._rows, turned)
            sum_columns(turned, turned_sums)
            cv2.transpose(turned_sums, self._sums)
        for groups, parts, total in self._column_steps:
            if parts[0] is total:
                cv2.split(groups, parts)
            np.add(parts[0], parts[1], total)
            for part in parts[2:]:
                np.add(total, part, total)
        # Ties rounded up: floor((gain * sum + divisor // 2) / divisor) for even and odd divisors.
        sums = self._sums
        if self._gain > 1:
            np.multiply(sums, self._gain, sums)
        if self._divisor > 1:
            np.add(sums, self._divisor // 2, sums)
        np.floor_divide(sums, self._divisor, self._means, casting="unsafe")
        return self._results

    def _sum_rows(self, plane: Plane, out: NDArray[Any]) -> None:
        """Sum groups of rows of ``plane`` into ``out`` ``[H, w * C]``; other ratios are averaged whole."""
        if not self._is_exact:
            small = resized(plane, (self._height, self._width))
            np.copyto(out, small.reshape(self._height, -1), casting="unsafe")
            return
        self._sum_rows_of(plane.reshape(plane.shape[0], -1) if plane.ndim == 3 else plane, out)


def resized(plane: Plane, size: tuple[int, int]) -> Plane:
    """``plane`` ``[h, w]`` or ``[h, w, C]`` at ``size`` (H, W): area means where it shrinks, linear where it grows."""
    (h, w), (height, width) = plane.shape[:2], size
    shrunk = (min(h, height), min(w, width))
    if shrunk != (h, w):
        plane = cv2.resize(plane, shrunk[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if shrunk != size:
        plane = cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[assignment]
    return plane


class _RowSums:
    """Sums of rows over areas of ``ratio`` rows each, in units of one ``ratio.denominator``-th of a row.

    Every ``q`` areas span ``p`` whole rows (``ratio`` = p/q); row i counts in area j by what of it lies there.
    """

    def __init__(self, ratio: Fraction, dtype: type[np.uint16 | np.int32]) -> None:
        self._p, self._q, self._dtype = ratio.numerator, ratio.denominator, dtype
        p, q = self._p, self._q
        overlaps = [
            [(i, min((i + 1) * q, (j + 1) * p) - max(i * q, j * p)) for i in range(p)] for j in range(q)
        ]
        self._terms = [[(i, weight) for i, weight in row if weight > 0] for row in overlaps]

    def __call__(self, rows: Plane | NDArray[Any], out: NDArray[Any]) -> None:
        """``rows`` ``[h, n]`` into ``out`` ``[h / ratio, n]``."""
        for j, terms in enumerate(self._terms):
            total = out[j :: self._q]
            for k, (i, weight) in enumerate(terms):
                part = rows[i :: self._p]
                if k == 0:
                    np.multiply(part, weight, total, dtype=self._dtype, casting="unsafe")
                elif weight == 1:
                    np.add(total, part, total, casting="unsafe")
                else:
                    np.add(total, np.multiply(part, weight, dtype=self._dtype, casting="unsafe"), total)


def _peak(n: int, scale: int, steps: int, bits: int) -> int:
    """Largest value while rounding a sum of ``n`` samples to ``steps`` a level (see `_Shrinker`)."""
    common = math.gcd(n * scale, steps)
    return ((1 << bits) - 1) * n * (steps // common) + n * scale // common // 2


class _Converter:
    """YUV means to RGB tiles of one size, with buffers to work in."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._samples = np.empty((*size, 3), np.uint16)
        self._rgb = np.empty((*size, 3), np.uint16)
        self._pixels = np.empty((*size, 3), np.uint8)
        self.grey = np.full(size, 128 * _STEPS_PER_LEVEL, np.uint16)
        self.n_bytes = 5 * self._samples.nbytes // 2

    def __call__(
        self, yuv: Sequence[NDArray[np.uint16]], m: NDArray[np.float32], out: NDArray[np.uint8]
    ) -> None:
        """Turn three ``uint16 [H, W]`` in quarter levels into RGB in ``out`` ``uint8 [3, H, W]``."""
        cv2.merge(yuv, self._samples)
        # Not matmul: BLAS would start threads of its own for this and keep them spinning.
        cv2.transform(self._samples, m, self._rgb)
        cv2.convertScaleAbs(self._rgb, self._pixels, 1 / _RGB_STEPS_PER_LEVEL)
        cv2.split(self._pixels, list(out))


class _Workshop(threading.local):
    """The shrinkers and converters of one thread, kept between pictures."""

    # About four times what a 4K stream needs. Sources of ever new sizes must not pile buffers up.
    max_bytes = 32 << 20

    def __init__(self) -> None:
        self._held: dict[tuple[object, ...], _Shrinker | _Converter] = {}

    def shrinker(self, planes: Sequence[Plane], bits: int, steps: int, size: tuple[int, int]) -> _Shrinker:
        key = (planes[0].shape, len(planes), bits, steps, size)
        held = self._held.get(key)
        if not isinstance(held, _Shrinker):
            held = _Shrinker(planes[0].shape, len(planes), bits=bits, steps=steps, size=size)
            self._keep(key, held)
        return held

    def converter(self, size: tuple[int, int]) -> _Converter:
        held = self._held.get(size)
        if not isinstance(held, _Converter):
            held = _Converter(size)
            self._keep(size, held)
        return held

    def _keep(self, key: tuple[object, ...], tool: _Shrinker | _Converter) -> None:
        if tool.n_bytes > self.max_bytes:
            return
        if sum(held.n_bytes for held in self._held.values()) + tool.n_bytes > self.max_bytes:
            self._held.clear()
        self._held[key] = tool


_workshop = _Workshop()


def _fill(picture: Picture, out: NDArray[np.uint8]) -> None:
    """Write the tile of one picture into ``out`` ``uint8 [3, H, W]``."""
    planes, bits, size = picture.planes, picture.bits, (out.shape[1], out.shape[2])
    if picture.layout == "bgr":
        bgr = _workshop.shrinker(planes, bits, 1, size)(planes)
        for channel, mean in zip(out[::-1], bgr, strict=True):
            np.copyto(channel, mean, casting="unsafe")
        return
    luma, chroma = planes[:1], planes[1:]
    convert = _workshop.converter(size)
    yuv = list(_workshop.shrinker(luma, bits, _STEPS_PER_LEVEL, size)(luma))
    if picture.layout == "gray":
        yuv += [convert.grey, convert.grey]
    else:
        yuv += _workshop.shrinker(chroma, bits, _STEPS_PER_LEVEL, size)(chroma)
    convert(yuv, _RGB_MATRICES[picture.matrix, picture.full_range], out)


def picture_from_bgr(bgr: NDArray[np.uint8]) -> Picture:
    """Wrap a decoded still ``uint8 [h, w, 3]`` as OpenCV gives it.

    Raises:
        ValueError: another shape or dtype, or no pixels.
    """
    if bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.size == 0:
        raise ValueError(f"bgr: expected uint8 [h, w, 3], got {bgr.dtype} {list(bgr.shape)}")
    return Picture((bgr,), "bgr")


def tiles(pictures: Sequence[Picture], size: tuple[int, int] = TILE_SIZE) -> NDArray[np.uint8]:
    """Turn pictures of any size and layout into one batch of tiles.

    ``size`` is (H, W) in pixels. Returns ``uint8 [N, 3, H, W]``, RGB, N = 0 allowed. A picture's
    tile is the same bytes alone and in any batch.
    """
    height, width = size
    batch = np.empty((len(pictures), 3, height, width), np.uint8)
    for out, picture in zip(batch, pictures, strict=True):
        _fill(picture, out)
    return batch
