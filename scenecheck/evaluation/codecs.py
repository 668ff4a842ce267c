"""One picture through a real video encoder and back, in memory."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DECODERS = {"libx264": "h264", "libx265": "hevc"}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "threads=1"},
    "libx265": {"preset": "ultrafast", "x265-params": "pools=none:frame-threads=1:log-level=none"},
}


def through_codec(picture: NDArray[np.uint8], encoder: str, crf: float) -> NDArray[np.uint8]:
    """``uint8 [h, w, 3]`` RGB → the same picture as one decoded key frame of ``encoder`` at ``crf``.

    Odd rows and columns at the right and below, which 4:2:0 cannot carry, are put back from the input.
    """
    h, w = picture.shape[0] & ~1, picture.shape[1] & ~1
    writer = cast("av.VideoCodecContext", av.CodecContext.create(encoder, "w"))
    writer.width, writer.height, writer.pix_fmt = w, h, "yuv420p"
    writer.time_base = Fraction(1, 25)
    writer.options = {**_OPTIONS[encoder], "crf": f"{crf:.1f}"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:h, :w]), "rgb24")
    packets = [*writer.encode(frame.reformat(format="yuv420p")), *writer.encode(None)]
    reader = cast("av.VideoCodecContext", av.CodecContext.create(_DECODERS[encoder], "r"))
    reader.thread_count = 1
    frames = [f for packet in packets for f in reader.decode(packet)] + reader.decode(None)
    out = picture.copy()
    out[:h, :w] = frames[0].to_ndarray(format="rgb24")
    return out
