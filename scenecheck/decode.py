"""Packets to trustworthy frames: complete keyframes, decoded alone; all frames where there are none.

A keyframe is decoded on a codec context of its own and flushed at once. That is right and immediate
for H.264 and H.265, closed and open GOPs, with and without B-frames, where skipping non-key frames in
a running decoder delivers late, misordered or never. One thread: FFmpeg's error resilience, which is
what marks a damaged H.264 picture, is off under slice threading.

Cameras without keyframes (intra refresh) or with very long GOPs are decoded completely instead, from
the last keyframe on when it is at hand.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import av
import av.error

from scenecheck.pictures import MAX_PIXELS, jpeg_breaks_off
from scenecheck.planes import picture_of, rotation_of
from scenecheck.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from av.container import InputContainer
    from av.packet import Packet as AnyPacket
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Packet = AnyPacket[VideoStream]

KEYFRAME_PATIENCE_S = 2.5
"""Without a keyframe for this long the stream is decoded completely: most cameras send one every 1-2 s."""

MAX_BACKLOG_BYTES = 24_000_000
"""Packets kept since the last keyframe for a switch to full decoding: 8 s of 24 Mbit/s."""

MAX_STEP_S = 10.0
"""A larger step between time stamps is a clock that was set, not time that passed."""

MAX_SLICES = 128
"""Packets joined into one access unit; more means that time stamps stand still."""


@dataclass(slots=True)
class _Unit:
    """An access unit: everything that belongs to one picture. ``t_s`` is its time in the stream."""

    t_s: float
    pts: int | None
    is_key: bool
    parts: list[bytes] = field(default_factory=list)
    is_suspect: bool = False

    @property
    def data(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    codec = cast("VideoCodecContext", av.CodecContext.create(stream.codec_context.name, "r"))
    codec.extradata = stream.codec_context.extradata
    codec.thread_count = 1
    codec.options = {"max_pixels": str(MAX_PIXELS)}
    if codec.name == "hevc":
        # FFmpeg never marks a damaged H.265 picture; refusing what does not parse is all there is.
        codec.options = {**codec.options, "err_detect": "explode"}
    return codec


def _is_half(codec_name: str, unit: _Unit) -> bool:
    """Whether the unit is a JPEG that breaks off: FFmpeg fills the rest with grey and does not say so."""
    return codec_name == "mjpeg" and jpeg_breaks_off(unit.data)


class _KeyDecoder:
    """Decodes single keyframes, each for itself."""

    def __init__(self, stream: VideoStream) -> None:
        self._codec = _decoder(stream)

    def decode(self, unit: _Unit) -> VideoFrame | None:
        """Return the picture of a complete keyframe, or None when the unit does not hold one.

        Raises av.error.FFmpegError when the unit is damaged.
        """
        if _is_half(self._codec.name, unit):
            raise av.error.InvalidDataError(0, "half a picture")
        try:
            frames = [*self._codec.decode(av.Packet(unit.data)), *self._codec.decode(None)]
        finally:
            if self._codec.is_open:
                self._codec.flush_buffers()
        # packet.is_keyframe also stands on recovery points of intra refresh; the frame's own is right.
        return next((f for f in frames if f.key_frame), None)


class _Units:
    """Joins packets into access units.

    A server that sends parameter sets before each slice makes FFmpeg deliver one picture as several
    packets of equal time; half a keyframe decodes to a "keyframe" with half of it garbage.
    """

    def __init__(
        self,
        stream: VideoStream,
        *,
        n_lost: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._time_base = float(stream.time_base or 0)
        self._frame_s = 1 / float(stream.average_rate) if stream.average_rate else 1 / 25
        self._may_be_sliced = stream.codec_context.name in {"h264", "hevc"}
        self._n_lost, self._clock = n_lost, clock
        self._start_s = clock() if clock is not None else 0.0
        self._lost_before = n_lost()
        self._zero_pts: int | None = None
        self._n = 0
        self._last_t_s = 0.0
        self._open: _Unit | None = None

    def add(self, packet: Packet) -> _Unit | None:
        """Take one packet; return the unit that it shows to be complete."""
        current = self._open
        if current is not None and self._continues(current, packet):
            current.parts.append(bytes(packet))
            current.pts = packet.pts if current.pts is None else current.pts
            return None
        done = self.end()
        self._open = _Unit(self._time_of(packet), packet.pts, packet.is_keyframe, [bytes(packet)])
        return done

    def _continues(self, unit: _Unit, packet: Packet) -> bool:
        """Whether the packet is one more part of the same picture."""
        if packet.is_keyframe != unit.is_key or len(unit.parts) >= MAX_SLICES:
            return False
        if unit.pts is None:
            # The first packet of a live stream has no time; its other slices have. Taking the next keyframe
            # of an all-intra stream along costs nothing: the first picture is what counts.
            return self._may_be_sliced and unit.is_key
        return packet.pts == unit.pts

    def end(self) -> _Unit | None:
        unit, self._open = self._open, None
        if unit is not None:
            n_lost = self._n_lost()
            unit.is_suspect = n_lost != self._lost_before
            self._lost_before = n_lost
        return unit

    def _since_last(self, pts: int) -> float:
        return (pts - (self._zero_pts or 0)) * self._time_base - self._last_t_s

    def _time_of(self, packet: Packet) -> float:
        pts = packet.pts if packet.pts is not None else packet.dts
        if self._clock is not None:
            self._last_t_s = self._clock() - self._start_s
        elif pts is None:  # a live stream's first packets, and raw streams throughout
            self._last_t_s += self._frame_s if self._n else 0.0
        else:
            if self._zero_pts is None or not -MAX_STEP_S < self._since_last(pts) < MAX_STEP_S:
                # The first time stamp, or a jump (a camera set its clock): go on from here.
                step_s = self._frame_s if self._n else 0.0
                self._zero_pts = pts - round((self._last_t_s + step_s) / (self._time_base or 1.0))
            self._last_t_s = (pts - self._zero_pts) * self._time_base
        self._n += 1
        return self._last_t_s


class StreamDecoder:
    """Chooses, unit by unit, what of a running stream to decode, at most one frame per ``every_s``.

    ``n_damaged`` counts keyframes that did not decode. ``n_lost`` is asked for the number of
    transport packets known to be missing (UDP): a keyframe during whose arrival it rose is damaged.
    ``by_arrival`` takes a frame's time from the clock, for containers whose time stamps are made up.
    ``may_decode_fully`` False (lossy transport) forbids the full decoding that intra-refresh streams
    need: pictures built on lost ones look whole to FFmpeg and are not.
    """

    def __init__(
        self,
        stream: VideoStream,
        *,
        every_s: float = 0.5,
        may_decode_fully: bool = True,
        n_lost: Callable[[], int] = lambda: 0,
        by_arrival: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.n_damaged = 0
        self._stream, self._every_s, self._clock = stream, every_s, clock
        self._may_decode_fully = may_decode_fully
        self._keys = _KeyDecoder(stream)
        self._full: VideoCodecContext | None = None
        self._is_tainted = False  # a damaged picture stands since the last whole keyframe
        self._units = _Units(stream, n_lost=n_lost, clock=clock if by_arrival else None)
        self._backlog: list[_Unit] = []
        self._backlog_bytes = 0
        self._last_key_s = 0.0
        self._next_s = float("-inf")

    def feed(self, packet: Packet) -> Iterator[Frame]:
        """Take a packet of the stream; yield the frames it completes."""
        unit = self._units.add(packet)
        if unit is not None:
            yield from self._take(unit)

    def end(self) -> Iterator[Frame]:
        """Yield what is left when the stream has ended."""
        unit = self._units.end()
        if unit is not None:
            yield from self._take(unit)
        nothing_yet = self._full is None and self._next_s == float("-inf") and not self._is_tainted
        if nothing_yet and self._backlog and self._may_decode_fully:
            yield from self._decode_fully(self._start_full())
        if self._full is not None:
            yield from self._emit_all(self._full.decode(None))

    def _take(self, unit: _Unit) -> Iterator[Frame]:
        if self._full is not None:
            yield from self._decode_fully([unit])
            return
        frame = None
        if unit.is_key:
            if unit.t_s < self._next_s:
                self._restart_backlog(unit)
                return
            try:
                frame = self._keys.decode(unit)
            except av.error.FFmpegError:
                self.n_damaged += 1
                self._is_tainted = True
        if frame is not None:
            self._restart_backlog(unit)
            yield from self._emit(frame, unit.t_s, unit.is_suspect)
            return
        self._backlog.append(unit)
        self._backlog_bytes += len(unit.data)
        if self._backlog_bytes > MAX_BACKLOG_BYTES:
            self._backlog.clear()
            self._backlog_bytes = 0
        if self._may_decode_fully and unit.t_s - self._last_key_s > KEYFRAME_PATIENCE_S:
            yield from self._decode_fully(self._start_full())

    def _restart_backlog(self, key: _Unit) -> None:
        self._last_key_s = key.t_s
        self._backlog = [key]
        self._backlog_bytes = len(key.data)

    def _start_full(self) -> list[_Unit]:
        self._full = _decoder(self._stream)
        backlog, self._backlog = self._backlog, []
        return backlog

    def _decode_fully(self, units: list[_Unit]) -> Iterator[Frame]:
        assert self._full is not None
        for unit in units:
            packet = av.Packet(unit.data)
            packet.pts = round(unit.t_s * 1e6)
            try:
                yield from self._emit_all(self._full.decode(packet))
            except av.error.FFmpegError:
                self.n_damaged += 1
                self._is_tainted = True

    def _emit_all(self, frames: Iterable[VideoFrame]) -> Iterator[Frame]:
        for frame in frames:
            # What is predicted from a damaged picture is damaged too, but FFmpeg does not say so.
            self._is_tainted = bool(frame.is_corrupt) or (self._is_tainted and not frame.key_frame)
            yield from self._emit(frame, (frame.pts or 0) / 1e6, is_suspect=self._is_tainted)

    def _emit(self, frame: VideoFrame, t_s: float, is_suspect: bool) -> Iterator[Frame]:
        if t_s < self._next_s:
            return
        self._next_s = t_s + self._every_s
        yield Frame(
            picture=picture_of(frame),
            at_s=max(t_s, 0.0),
            arrived_s=self._clock(),
            is_key=bool(frame.key_frame),
            is_damaged=bool(frame.is_corrupt) or is_suspect,
        )


def sampled_frames(
    container: InputContainer, stream: VideoStream, n: int, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Frame]:
    """Yield up to ``n`` frames spread evenly over a seekable film of known duration.

    Each is the keyframe before its moment, or, where that one was used already (long GOPs), the very
    frame, decoded from the keyframe on. Moments that hold only damaged pictures are left out. Raises
    PyAV's errors of seeking and demuxing.
    """
    time_base = float(stream.time_base or 0)
    start = stream.start_time or 0
    duration_s = float(stream.duration or 0) * time_base or float(container.duration or 0) / av.time_base
    rotation = rotation_of(container, stream)
    decoder = _KeyDecoder(stream)
    seen: set[int | None] = set()
    for i in range(n):
        target_s = (i + 0.5) / n * duration_s
        container.seek(start + int(target_s / time_base), stream=stream, backward=True)
        gop = _units_until(container, stream, start, target_s)
        key = next((u for u in gop if u.is_key), None)
        if key is None:
            continue
        try:
            frame = decoder.decode(key) if key.pts not in seen else None
            pts = key.pts
            if frame is None:  # used already, or a recovery point instead of a keyframe
                frame = _last_of(stream, gop)
                pts = None if frame is None else frame.pts
        except av.error.FFmpegError:
            continue
        if frame is None or pts in seen:
            continue
        seen.add(pts)
        yield Frame(
            picture=picture_of(frame, rotation=rotation),
            at_s=((pts if pts is not None else start) - start) * time_base,
            arrived_s=clock(),
            is_key=bool(frame.key_frame),
            is_damaged=bool(frame.is_corrupt),
        )


def _units_until(container: InputContainer, stream: VideoStream, start: int, target_s: float) -> list[_Unit]:
    """Units from where the container stands up to ``target_s``, at least to the first keyframe."""
    units, found, n_bytes = _Units(stream), [], 0
    time_base = float(stream.time_base or 0)
    for packet in container.demux(stream):
        unit = units.add(packet) if packet.size else units.end()
        if unit is None:
            continue
        found.append(unit)
        n_bytes += len(unit.data)
        t_s = ((unit.pts if unit.pts is not None else start) - start) * time_base
        if (t_s >= target_s and any(u.is_key for u in found)) or n_bytes > MAX_BACKLOG_BYTES:
            break
    return found


def _last_of(stream: VideoStream, units: list[_Unit]) -> VideoFrame | None:
    """Decode units completely; return the last picture. Raises av.error.FFmpegError on damage."""
    codec = _decoder(stream)
    last: VideoFrame | None = None
    for unit in [*units, None]:
        packet = None
        if unit is not None:
            packet = av.Packet(unit.data)
            packet.pts = unit.pts
        for frame in codec.decode(packet):
            if frame.is_corrupt:  # everything after it is built on it
                raise av.error.InvalidDataError(0, "a damaged picture")
            last = frame
    return last
