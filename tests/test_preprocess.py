"""Tiles are what the module's arithmetic says, for every layout, size and neighbourhood."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecheck import preprocess
from scenecheck.preprocess import TILE_SIZE, picture_from_bgr, tiles
from scenecheck.types import Layout, Matrix, Picture

Array = npt.NDArray[np.int64]

WEIGHTS: dict[Matrix, tuple[str, str]] = {
    "bt601": ("0.299", "0.114"),
    "bt709": ("0.2126", "0.0722"),
    "bt2020": ("0.2627", "0.0593"),
}


# The reference: the same definition in integers and fractions, without a thought for speed.


def is_exact(shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether nothing grows and both ratios are of whole numbers, the second at most three."""
    ratios = [Fraction(k, n) for k, n in zip(shape[:2], size, strict=True)]
    return all(r >= 1 and r.denominator <= 3 for r in ratios)


def by_opencv(plane: npt.NDArray[np.integer], size: tuple[int, int]) -> npt.NDArray[np.integer]:
    """Area means along the sides that shrink, then linear along those that grow."""
    smaller = tuple(min(k, n) for k, n in zip(plane.shape, size, strict=False))
    area = cv2.resize(np.ascontiguousarray(plane), smaller[::-1], interpolation=cv2.INTER_AREA)
    return cv2.resize(area, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT)


def overlaps(ratio: Fraction, n: int) -> Array:
    """What of each of ``n * ratio`` samples lies in each of ``n`` areas, ``[n, n * ratio]``, whole = denominator."""
    p, q = ratio.numerator, ratio.denominator
    area, sample = np.arange(n)[:, None], np.arange(n * p // q)[None]
    return np.maximum(np.minimum((area + 1) * p, (sample + 1) * q) - np.maximum(area * p, sample * q), 0)


def rounded_means(plane: npt.NDArray[np.integer], size: tuple[int, int], bits: int, steps: int) -> Array:
    """Area means of ``[h, w]`` in ``steps`` a grey level of 8 bits, ties up; OpenCV's for other ratios."""
    if not is_exact(plane.shape, size):
        plane = by_opencv(plane, size)
    rows, columns = (Fraction(k, n) for k, n in zip(plane.shape, size, strict=True))
    # In float64, whose whole numbers are exact so far and whose matrix product is quick.
    left, right = (overlaps(*pair).astype(np.float64) for pair in ((rows, size[0]), (columns, size[1])))
    sums = (left @ plane.astype(np.float64) @ right.T).astype(np.int64)
    divisor = rows.numerator * columns.numerator * 2 ** (bits - 8)
    return (2 * steps * sums + divisor) // (2 * divisor)


def half_even(numerator: Array, divisor: int) -> Array:
    quotient, rest = np.divmod(numerator, divisor)
    return quotient + ((2 * rest > divisor) | ((2 * rest == divisor) & (quotient % 2 == 1)))


def matrix_14(matrix: Matrix, full_range: bool) -> tuple[Array, Array]:
    """The affine map from quarter levels, in units of 2**-14 level: ``[3, 3]`` and ``[3, 1]``."""
    kr, kb = (Fraction(v) for v in WEIGHTS[matrix])
    kg = 1 - kr - kb
    y, c = (Fraction(1), Fraction(1)) if full_range else (Fraction(255, 219), Fraction(255, 224))
    exact = [
        [y, 0, 2 * (1 - kr) * c],
        [y, -2 * kb * (1 - kb) / kg * c, -2 * kr * (1 - kr) / kg * c],
        [y, 2 * (1 - kb) * c, 0],
    ]
    m = np.array([[round(v * 4096) for v in row] for row in exact], np.int64)
    offset = np.array([[0 if full_range else 16], [128], [128]])
    return m, -4 * m @ offset


def reference(picture: Picture, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    planes, bits = picture.planes, picture.bits
    if picture.layout == "bgr":
        means = [rounded_means(planes[0][:, :, c], size, 8, 1) for c in (2, 1, 0)]
        return np.stack(means).astype(np.uint8)
    grey = np.full(size, 512, np.int64)
    luma = rounded_means(planes[0], size, bits, 4)
    if picture.layout == "gray":
        yuv = [luma, grey, grey]
    elif picture.layout == "nv12":
        yuv = [luma, *(rounded_means(planes[1][:, :, c], size, bits, 4) for c in (0, 1))]
    else:
        yuv = [luma, *(rounded_means(p, size, bits, 4) for p in planes[1:])]
    m, b = matrix_14(picture.matrix, picture.full_range)
    rgb_14 = m @ np.stack(yuv).reshape(3, -1) + b
    rgb_6 = np.clip(half_even(rgb_14, 2**8), 0, 65535)
    return np.clip(half_even(rgb_6, 2**6), 0, 255).astype(np.uint8).reshape(3, *size)


@st.composite
def pictures(draw: st.DrawFn, size: tuple[int, int], *, whole: bool) -> Picture:
    """A picture of random samples, its planes views into padded memory as decoders deliver them."""
    layout: Layout = draw(st.sampled_from(["yuv", "nv12", "gray", "bgr"]))
    bits = 8 if layout == "bgr" else draw(st.sampled_from([8, 10, 12]))
    sub_rows, sub_columns = draw(st.sampled_from([(2, 2), (1, 2), (1, 1)]))
    if layout == "nv12":
        sub_rows, sub_columns = 2, 2
    if whole:
        period = draw(st.sampled_from([1, 2, 3]))  # of the weights; both sides of `size` are multiples of it
        height = size[0] // period * draw(st.integers(1, 9)) * sub_rows
        width = size[1] // period * draw(st.integers(1, 11)) * sub_columns
    else:
        height, width = draw(st.integers(16, 90)), draw(st.integers(16, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    padding = draw(st.sampled_from([0, 1, 13, 32]))
    # Saturated and flat pictures hit the clipping and the ties that uniform noise hardly meets.
    low, high = draw(st.sampled_from([(0, 1 << bits), ((1 << bits) - 1, 1 << bits), (0, 2), (100, 103)]))

    def plane(h: int, w: int, *channels: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        kind = np.uint8 if bits == 8 else np.uint16
        return rng.integers(low, high, (h, w + padding, *channels), dtype=kind)[:, :w]

    chroma = (-(-height // sub_rows), -(-width // sub_columns))
    planes: tuple[npt.NDArray[np.uint8] | npt.NDArray[np.uint16], ...]
    match layout:
        case "bgr":
            planes = (plane(height, width, 3),)
        case "gray":
            planes = (plane(height, width),)
        case "nv12":
            planes = (plane(height, width), plane(*chroma, 2))
        case "yuv":
            planes = (plane(height, width), plane(*chroma), plane(*chroma))
    matrix: Matrix = draw(st.sampled_from(["bt601", "bt709", "bt2020"]))
    return Picture(planes, layout, bits, matrix, draw(st.booleans()))


SMALL = (6, 12)


@settings(max_examples=150, deadline=None)
@given(st.lists(pictures(SMALL, whole=True), min_size=1, max_size=4))
def test_tiles_when_ratios_are_whole_then_every_byte_is_the_reference(batch: list[Picture]) -> None:
    found = tiles(batch, SMALL)
    for tile, picture in zip(found, batch, strict=True):
        np.testing.assert_array_equal(tile, reference(picture, SMALL))


@settings(max_examples=100, deadline=None)
@given(st.lists(pictures(SMALL, whole=False), min_size=1, max_size=4))
def test_tiles_when_ratios_are_not_whole_then_opencv_averages_and_the_rest_is_the_same(
    batch: list[Picture],
) -> None:
    for tile, picture in zip(tiles(batch, SMALL), batch, strict=True):
        if picture.layout == "bgr":
            area = by_opencv(picture.planes[0], SMALL)
            if not is_exact((picture.height_px, picture.width_px), SMALL):
                np.testing.assert_array_equal(tile, area[:, :, ::-1].transpose(2, 0, 1))
                continue
        # OpenCV averages interleaved channels as it averages them apart, but for float rounding.
        allowed = 2 if picture.layout == "nv12" else 0
        difference = np.abs(tile.astype(int) - reference(picture, SMALL))
        assert difference.max() <= allowed


@settings(max_examples=60, deadline=None)
@given(st.data(), st.booleans())
def test_tiles_when_a_picture_is_alone_or_in_a_batch_then_its_bytes_are_the_same(
    data: st.DataObject, whole: bool
) -> None:
    batch = data.draw(st.lists(pictures(SMALL, whole=whole), min_size=2, max_size=6))
    together = tiles(batch, SMALL)
    for i, picture in enumerate(batch):
        np.testing.assert_array_equal(tiles([picture], SMALL)[0], together[i])
    np.testing.assert_array_equal(tiles(batch[::-1], SMALL)[::-1], together)


@pytest.mark.parametrize(
    ("width", "height"),
    [(320, 180), (640, 360), (960, 540), (1280, 720), (1600, 900), (1920, 1080), (2560, 1440), (3840, 2160)],
)
def test_tiles_when_a_camera_has_a_common_size_then_every_byte_is_the_reference(
    width: int, height: int
) -> None:
    rng = np.random.default_rng(width)
    shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    yuv = Picture(tuple(rng.integers(0, 256, s, dtype=np.uint8) for s in shapes), "yuv", matrix="bt709")
    bgr = picture_from_bgr(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    found = tiles([yuv, bgr])
    np.testing.assert_array_equal(found[0], reference(yuv, TILE_SIZE))
    np.testing.assert_array_equal(found[1], reference(bgr, TILE_SIZE))


def test_tiles_when_there_are_no_pictures_then_the_batch_is_empty() -> None:
    assert tiles([]).shape == (0, 3, *TILE_SIZE)
    assert tiles([]).dtype == np.uint8


def test_tiles_when_samples_are_12_bit_at_4k_then_sums_do_not_overflow() -> None:
    shapes = [(2160, 3840), (1080, 1920), (1080, 1920)]
    white = Picture(
        tuple(np.full(s, v, np.uint16) for s, v in zip(shapes, (3760, 2048, 2048), strict=True)), "yuv", 12
    )
    assert (tiles([white]) == 255).all()


def test_tiles_when_a_tie_comes_then_it_is_rounded_up() -> None:
    plane = np.zeros((TILE_SIZE[0], TILE_SIZE[1] * 2, 3), np.uint8)
    plane[:, ::2] = 1  # every mean is exactly 0.5
    assert (tiles([picture_from_bgr(plane)]) == 1).all()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "nv12", "gray", "yuv420p10le"])
def test_tiles_when_ffmpeg_made_the_planes_then_the_colours_are_right(pixels: str) -> None:
    """Patches of known colour through FFmpeg's own conversion: guards against a swapped U and V, or range."""
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (230, 230, 60)]
    rgb = np.zeros((360, 640, 3), np.uint8)
    for i, colour in enumerate(colours):
        rgb[:, 128 * i : 128 * (i + 1)] = colour
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)
    kind = np.uint16 if "10" in pixels else np.uint8
    planes = []
    for i, plane in enumerate(frame.planes):
        samples = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)[
            : plane.height
        ]
        is_pairs = pixels == "nv12" and i == 1
        planes.append(
            samples[:, : 2 * plane.width].reshape(plane.height, plane.width, 2)
            if is_pairs
            else samples[:, : plane.width]
        )
    layout: Layout = "nv12" if pixels == "nv12" else "gray" if pixels == "gray" else "yuv"
    # FFmpeg's gray is full range, its yuv limited.
    picture = Picture(tuple(planes), layout, 10 if "10" in pixels else 8, full_range=layout == "gray")
    tile = tiles([picture])[0]
    for i, colour in enumerate(colours):
        middle = tile[:, 20:250, 96 * i + 20 : 96 * i + 76].reshape(3, -1).mean(axis=1)
        expected = np.full(3, np.dot(colour, (0.299, 0.587, 0.114))) if layout == "gray" else np.array(colour)
        np.testing.assert_allclose(middle, expected, atol=3.5)


def test_tiles_when_many_sizes_have_passed_then_the_buffers_stay_bounded() -> None:
    workshop = preprocess._workshop
    for i in range(1, 12):
        tiles([picture_from_bgr(np.zeros((270 * 2, 480 * i * 2, 3), np.uint8))])
        assert sum(tool.n_bytes for tool in workshop._held.values()) <= workshop.max_bytes


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3)),
    ],
)
def test_picture_from_bgr_when_it_is_no_picture_then_it_says_what_it_got(bad: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        picture_from_bgr(bad)
