"""Encoded pictures: bounded before memory is taken, never silently half a picture."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.errors import ContentError
from scenecheck.pictures import MAX_PIXELS, decode_picture, kind_of, size_of

FORMATS = [".jpg", ".png", ".webp", ".bmp"]


def encoded(suffix: str, width: int, height: int) -> bytes:
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8)
    return bytes(cv2.imencode(suffix, picture)[1])


def png_declaring(width: int, height: int) -> bytes:
    """A PNG of a few bytes that unpacks to ``width`` x ``height`` pixels of nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(640, 360), (17, 33), (1001, 16)])
def test_picture_of_each_format_is_read_with_its_size(suffix: str, width: int, height: int) -> None:
    data = encoded(suffix, width, height)
    assert size_of(data) == (width, height)
    picture = decode_picture(data, "x")
    assert (picture.width_px, picture.height_px, picture.layout) == (width, height, "bgr")


@pytest.mark.parametrize("suffix", FORMATS)
def test_lossless_and_lossy_webp_and_alpha_sizes(suffix: str) -> None:
    alpha = np.zeros((40, 50, 4), np.uint8)
    if suffix in {".png", ".webp"}:
        assert size_of(bytes(cv2.imencode(suffix, alpha)[1])) == (50, 40)
    lossless = cv2.imencode(".webp", alpha[:, :, :3], [cv2.IMWRITE_WEBP_QUALITY, 101])[1]
    assert size_of(bytes(lossless)) == (50, 40)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_picture_that_breaks_off_is_damaged_not_grey(suffix: str, share: float) -> None:
    data = encoded(suffix, 320, 240)
    with pytest.raises(ContentError) as caught:
        decode_picture(data[: int(len(data) * share)], "cam.jpg")
    assert caught.value.code == "picture-damaged"


def test_jpeg_with_data_after_its_end_is_whole() -> None:
    assert decode_picture(encoded(".jpg", 64, 64) + b"\0" * 600, "x").width_px == 64


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"hello, this is a text\n", "not-a-picture"),
        (b"GIF89a" + bytes(40), "not-a-picture"),
        (encoded(".png", 1, 1), "too-small"),
        (encoded(".jpg", 400, 15), "too-small"),
        (png_declaring(30_000, 30_000), "too-large"),
        (png_declaring(12_000, 9_000), "too-large"),
        (b"\xff\xd8\xff\xe0", "picture-damaged"),
        (b"\x89PNG\r\n\x1a\n", "picture-damaged"),
    ],
)
def test_what_is_no_usable_picture_gives_its_code(data: bytes, code: str) -> None:
    with pytest.raises(ContentError) as caught:
        decode_picture(data, "cam.jpg")
    assert caught.value.code == code
    assert str(caught.value).startswith("cam.jpg: ")


def test_largest_allowed_size_is_stated_in_pixels_of_the_header() -> None:
    assert 12_000 * 9_000 > MAX_PIXELS > 7680 * 4320


@given(st.binary(max_size=400), st.sampled_from(FORMATS))
def test_no_bytes_make_it_raise_anything_else(junk: bytes, suffix: str) -> None:
    for data in (junk, encoded(suffix, 24, 24)[: 12 + len(junk) // 4] + junk):
        with contextlib.suppress(ContentError):
            decode_picture(data, "x")


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    data = encoded(".jpg", 64, 32)
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    picture = decode_picture(turned, "x")
    assert (picture.width_px, picture.height_px) == (32, 64)


def test_kind_of_reads_signatures() -> None:
    assert [kind_of(encoded(s, 20, 20)[:16]) for s in FORMATS] == ["jpeg", "png", "webp", "bmp"]
    assert kind_of(b"#EXTM3U\n") is None
