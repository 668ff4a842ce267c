"""Small clips made on the fly with PyAV, each frame carrying its number (see ``frame_numbers``).

A clip is described by a frozen ``ClipSpec``; ``Clips`` makes it once per directory and hands out
its path. ``PRESETS`` are the named ones that the servers offer.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from tests.servers.frame_numbers import read_number, write_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "PRESETS",
    "ClipSpec",
    "Clips",
    "jpeg",
    "luma",
    "make_clip",
    "numbers_in",
    "read_number",
    "write_number",
]

_MATRIX = {"bt709": 1, "bt601": 6, "bt2020": 9}
_ENCODER = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg"}


@dataclass(frozen=True)
class ClipSpec:
    """What a clip is like. Sizes in px, lengths in frames, ``rotation`` in degrees counter-clockwise."""

    codec: str = "h264"
    width: int = 640
    height: int = 360
    fps: int = 25
    n_frames: int = 50
    gop: int = 25
    bframes: int = 0
    open_gop: bool = False
    intra_refresh: bool = False
    slices: int = 1
    ten_bit: bool = False
    full_range: bool = False
    matrix: str = ""  # "", bt601, bt709, bt2020
    interlaced: bool = False
    rotation: int = 0
    first_number: int = 0
    crf: int = 26
    container: str = "mp4"
    extra: str = field(default="")  # further x264/x265 parameters

    @property
    def name(self) -> str:
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:16]
        return f"{self.codec}-{self.width}x{self.height}-{digest}.{self.container}"


PRESETS: dict[str, ClipSpec] = {
    "h264": ClipSpec(),
    "h264-small": ClipSpec(width=320, height=180, first_number=1000),
    "h264-bframes": ClipSpec(bframes=2),
    "h264-open-gop": ClipSpec(bframes=2, open_gop=True, n_frames=100),
    "h264-intra-refresh": ClipSpec(intra_refresh=True, n_frames=100),
    "h264-slices": ClipSpec(slices=4),
    "h264-10bit": ClipSpec(ten_bit=True),
    "h264-full-range": ClipSpec(full_range=True, matrix="bt709"),
    "h264-bt709": ClipSpec(matrix="bt709"),
    "h264-bt601": ClipSpec(matrix="bt601"),
    "h264-interlaced": ClipSpec(interlaced=True, height=576, width=720),
    "h264-odd": ClipSpec(width=638, height=358),
    "h264-rotated": ClipSpec(rotation=90),
    "h264-long-gop": ClipSpec(n_frames=150, gop=150),
    "h264-720p": ClipSpec(width=1280, height=720),
    "hevc": ClipSpec(codec="hevc"),
    "hevc-small": ClipSpec(codec="hevc", width=320, height=180, first_number=1000),
    "hevc-bframes": ClipSpec(codec="hevc", bframes=2),
    "hevc-10bit": ClipSpec(codec="hevc", ten_bit=True),
    "mjpeg": ClipSpec(codec="mjpeg", n_frames=25, container="avi"),
    "mjpeg-small": ClipSpec(
        codec="mjpeg", width=320, height=176, n_frames=25, first_number=1000, container="avi"
    ),
}


class Clips:
    """Clips by preset name or by specification, each made once in ``directory``. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()

    def __getitem__(self, preset: str) -> Path:
        return self._path(PRESETS[preset])

    def make(self, preset: str = "h264", **changes: Any) -> Path:
        """The path of ``preset`` with the given ``ClipSpec`` fields changed."""
        known = {f.name for f in fields(ClipSpec)}
        if unknown := changes.keys() - known:
            raise TypeError(f"a ClipSpec has no {sorted(unknown)}, only {sorted(known)}")
        return self._path(replace(PRESETS[preset], **changes))

    def _path(self, spec: ClipSpec) -> Path:
        with self._lock:
            path = self.directory / spec.name
            if not path.exists():
                part = path.with_name("part-" + path.name)
                make_clip(part, spec)
                part.rename(path)
            return path


def make_clip(path: Path, spec: ClipSpec) -> None:
    """Encode ``spec`` into ``path``."""
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(
            _ENCODER[spec.codec], rate=spec.fps, options=dict(_encoder_options(spec))
        )
        stream.width, stream.height = spec.width, spec.height
        stream.pix_fmt = _pixel_format(spec)
        stream.codec_context.gop_size = spec.gop
        stream.codec_context.thread_count = 1
        if spec.codec == "hevc" and spec.container == "mp4":
            stream.codec_context.codec_tag = "hvc1"  # GStreamer's payloader does not take hev1
        if spec.codec == "mjpeg" or spec.full_range:
            stream.codec_context.color_range = 2
        if spec.matrix:
            stream.codec_context.colorspace = _MATRIX[spec.matrix]
        if spec.rotation:
            stream.set_display_rotation(spec.rotation)
        for index in range(spec.n_frames):
            frame = av.VideoFrame.from_ndarray(_picture(spec, index), format=_pixel_format(spec))
            frame.pts, frame.time_base = index, Fraction(1, spec.fps)
            if spec.codec == "mjpeg" or spec.full_range:
                frame.color_range = 2
            if spec.matrix:
                frame.colorspace = _MATRIX[spec.matrix]
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def numbers_in(path: Path | str) -> list[int | None]:
    """The frame numbers of a file's frames in the order shown, None where unreadable."""
    with av.open(str(path)) as container:
        return [read_number(luma(frame)) for frame in container.decode(video=0)]


def luma(frame: Any) -> NDArray[Any]:
    """The luma plane of a planar YUV or grey frame: ``[h, w]`` uint8, or uint16 of 10 bits."""
    plane = frame.planes[0]
    dtype, size = (np.uint16, 2) if "10" in frame.format.name else (np.uint8, 1)
    rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // size)
    return rows[: frame.height, : frame.width]


def _pixel_format(spec: ClipSpec) -> str:
    if spec.codec == "mjpeg" or (spec.full_range and not spec.ten_bit):
        return "yuvj420p"
    return "yuv420p10le" if spec.ten_bit else "yuv420p"


def _encoder_options(spec: ClipSpec) -> Iterator[tuple[str, str]]:
    if spec.codec == "mjpeg":
        # RFC 2435 carries no Huffman tables: only the standard ones survive RTP.
        yield from (("huffman", "default"), ("q", "4"), ("qmin", "4"), ("qmax", "4"))
        return
    yield from (("preset", "ultrafast"), ("crf", str(spec.crf)))
    extra = [f":{spec.extra}"] if spec.extra else []
    gop = f"keyint={spec.gop}:min-keyint={spec.gop}:scenecut=0:bframes={spec.bframes}"
    gop += f":open-gop={spec.open_gop:d}"
    if spec.codec == "hevc":
        yield (
            "x265-params",
            "".join([f"log-level=none:pools=none:frame-threads=1:slices={spec.slices}:{gop}", *extra]),
        )
        return
    interlaced = ":tff=1" if spec.interlaced else ""
    refresh = ":intra-refresh=1" if spec.intra_refresh else ""
    yield "x264-params", "".join([f"threads=1:slices={spec.slices}:{gop}{interlaced}{refresh}", *extra])
    if spec.interlaced:
        yield "flags", "+ildct+ilme"


def _picture(spec: ClipSpec, index: int) -> NDArray[Any]:
    """One planar 4:2:0 picture ``[h * 3 / 2, w]``: a textured ground, a moving block, its number."""
    height, width = spec.height, spec.width
    picture = np.empty((height * 3 // 2, width), np.uint8)
    picture[:height] = _ground(height, width)
    block = height // 4
    left = (index * 6) % (width - block)
    picture[height // 2 : height // 2 + block, left : left + block] = 200
    chroma = picture[height:].reshape(2, -1)
    chroma[0], chroma[1] = 112, 144
    write_number(picture[:height], spec.first_number + index)
    if spec.ten_bit:
        return picture.astype(np.uint16) << 2
    return picture


def _ground(height: int, width: int) -> NDArray[np.uint8]:
    key = (height, width)
    if key not in _GROUNDS:
        rng = np.random.default_rng(7)
        ramp = np.linspace(60, 170, width, dtype=np.float32)[None, :].repeat(height, axis=0)
        _GROUNDS[key] = (ramp + rng.normal(0, 6, (height, width))).clip(16, 235).astype(np.uint8)
    return _GROUNDS[key]


_GROUNDS: dict[tuple[int, int], NDArray[np.uint8]] = {}


@lru_cache(maxsize=64)
def jpeg(number: int = 0, width: int = 640, height: int = 360) -> bytes:
    """A JPEG of the usual ground with ``number`` written into it."""
    picture = _ground(height, width).copy()
    write_number(picture, number)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
