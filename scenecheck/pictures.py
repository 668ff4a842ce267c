"""Encoded pictures to `Picture`: the size is read and bounded before any memory is taken."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from scenecheck.errors import ContentError
from scenecheck.types import Picture

MAX_PIXELS = 64_000_000
"""Largest picture decoded: twice an 8K frame; a decompression bomb declares far more."""

MIN_SIDE_PX = 16
"""Below this a picture holds less than the pixelation that hides one."""

MAX_BYTES = 64_000_000
"""Largest encoded picture read; a 64-megapixel JPEG of the best quality stays below."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def kind_of(head: bytes) -> str | None:
    """Name the picture format whose signature ``head`` (16 bytes are enough) begins with, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM"):
        return "bmp"
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that the picture's header declares, or None when there is none."""
    try:
        match kind_of(data):
            case "jpeg":
                return _jpeg_size(data)
            case "png":
                width, height = struct.unpack_from(">II", data, 16)
                return width, height
            case "webp":
                return _webp_size(data)
            case "bmp":
                width, height = struct.unpack_from("<ii", data, 18)
                return abs(width), abs(height)
    except struct.error:
        pass
    return None


def jpeg_breaks_off(data: bytes) -> bool:
    """Whether a JPEG lacks its end marker; cameras pad or append metadata after it."""
    return b"\xff\xd9" not in data[-4096:]


def _breaks_off(data: bytes, kind: str) -> bool:
    """Whether the file ends before the picture does; OpenCV fills the rest with grey and says nothing."""
    if kind == "jpeg":
        return jpeg_breaks_off(data)
    if kind == "png":
        return b"IEND" not in data[-4096:]
    declared = struct.unpack_from("<I", data, 4 if kind == "webp" else 2)[0] + (8 if kind == "webp" else 0)
    return len(data) < int(declared)


def decode_picture(data: bytes, name: str) -> Picture:
    """Decode a JPEG, PNG, WebP or BMP; EXIF orientation is applied.

    ``name`` stands in the errors. Raises ContentError: ``empty``, ``not-a-picture``, ``too-large``,
    ``too-small``, ``picture-damaged``.
    """
    if not data:
        raise ContentError("empty", f"{name}: 0 bytes")
    kind, size = kind_of(data[:16]), size_of(data)
    if kind is None:
        raise ContentError("not-a-picture", f"{name}: no JPEG, PNG, WebP or BMP")
    if size is None:
        raise ContentError("picture-damaged", f"{name}: the {kind.upper()} header breaks off")
    width, height = size
    if width * height > MAX_PIXELS:
        raise ContentError(
            "too-large", f"{name}: {width}x{height} pixels, at most {MAX_PIXELS // 1_000_000} million"
        )
    if min(width, height) < MIN_SIDE_PX:
        raise ContentError("too-small", f"{name}: {width}x{height} pixels")
    if _breaks_off(data, kind):
        raise ContentError(
            "picture-damaged", f"{name}: the {kind.upper()} breaks off after {len(data)} bytes"
        )
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        bgr = None
    if bgr is None:
        raise ContentError("picture-damaged", f"{name}: the {kind.upper()} does not decode")
    return Picture((np.asarray(bgr, np.uint8),), "bgr")
