"""Decoded frames to `Picture`: views of FFmpeg's planes, and what their numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import av.error
import numpy as np

from scenecheck.types import Picture

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from scenecheck.types import Layout, Matrix

# FFmpeg's AVCOL_SPC_* numbers; everything else, "unspecified" included, is read as BT.601 as swscale does.
_MATRICES: dict[int, Matrix] = {1: "bt709", 9: "bt2020", 10: "bt2020"}
_FULL_RANGE = 2

_PLANAR_BITS = {"": 8, "9le": 9, "10le": 10, "12le": 12, "14le": 14, "16le": 16}
_LAYOUTS: dict[str, tuple[Layout, int]] = {
    **{
        f"yuv{s}p{d}": ("yuv", b)
        for s in ("420", "422", "444", "440", "411", "410")
        for d, b in _PLANAR_BITS.items()
    },
    **{f"yuvj{s}p": ("yuv", 8) for s in ("420", "422", "444", "440", "411")},
    **{f"gray{d}": ("gray", b) for d, b in _PLANAR_BITS.items()},
    "nv12": ("nv12", 8),
    "nv16": ("nv12", 8),
    "p010le": ("nv12", 16),  # ten bits, stored in the high ones
    "p016le": ("nv12", 16),
}


def picture_of(frame: VideoFrame, *, rotation: int = 0) -> Picture:
    """View a decoded frame's planes without copying; turning it by ``rotation`` degrees copies."""
    name = frame.format.name
    known = _LAYOUTS.get(name)
    if known is None:
        return _rotated(Picture((np.asarray(frame.to_ndarray(format="bgr24"), np.uint8),), "bgr"), rotation)
    layout, bits = known
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    planes = []
    for i, plane in enumerate(frame.planes[:3]):
        # Rows are padded to line_size; only the first width samples of each are the picture.
        rows = np.frombuffer(cast("bytes", plane), dtype).reshape(-1, plane.line_size // dtype.itemsize)
        if layout == "nv12" and i == 1:
            planes.append(rows[: plane.height, : 2 * plane.width].reshape(plane.height, plane.width, 2))
        else:
            planes.append(rows[: plane.height, : plane.width])
    picture = Picture(
        tuple(planes),
        layout,
        bits,
        _MATRICES.get(frame.colorspace, "bt601"),
        frame.color_range == _FULL_RANGE or name.startswith("yuvj"),
    )
    return _rotated(picture, rotation)


def rotation_of(container: InputContainer, stream: VideoStream) -> int:
    """Degrees counter-clockwise that a film's display matrix asks for; 0 for formats without one.

    The matrix reaches only frames decoded through the stream itself, so one is.
    """
    if not {"mp4", "mov", "matroska"} & set(container.format.name.split(",")):
        return 0
    try:
        rotation = next(container.decode(stream)).rotation
        container.seek(0)
    except (StopIteration, av.error.FFmpegError):
        return 0
    return int(rotation)


def _rotated(picture: Picture, degrees: int) -> Picture:
    """Turn a picture counter-clockwise by the nearest multiple of 90 degrees."""
    quarter_turns = round(degrees / 90) % 4
    if not quarter_turns:
        return picture
    planes: tuple[NDArray[np.uint8], ...] = tuple(
        np.ascontiguousarray(np.rot90(plane, quarter_turns)) for plane in picture.planes
    )
    return Picture(planes, picture.layout, picture.bits, picture.matrix, picture.full_range)
