"""Clips as RTP payloads: H.264 (RFC 6184), H.265 (RFC 7798), JPEG (RFC 2435), and their SDP.

A file is read and packetised once; connections only fill in channel, sequence number, timestamp
and SSRC, so that hundreds of them cost little.
"""

from __future__ import annotations

import base64
import itertools
import statistics
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from tests.servers.jpeg import jpeg_payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

CLOCK_HZ = 90_000
MTU_BYTES = 1400
PARAMETER_SETS = ("both", "sdp", "inband", "per-slice")
"""Where SPS/PPS/VPS stand. ``per-slice`` repeats them before every slice of a keyframe, as
gst-rtsp-server does with ``config-interval=-1``."""

_PARAMETER_NALS = {"h264": (7, 8), "hevc": (32, 33, 34)}
_KEY_NALS = {"h264": (5,), "hevc": (16, 17, 18, 19, 20, 21)}


@dataclass(frozen=True)
class Unit:
    """One access unit as RTP payloads. ``dts`` and ``pts`` in CLOCK_HZ ticks from the clip's start."""

    key: bool
    dts: int
    pts: int
    payloads: tuple[bytes, ...]

    @cached_property
    def interleaved(self) -> tuple[bytes, tuple[int, ...]]:
        """The unit's packets framed for channel 0 (RFC 2326 §10.12), and where each begins."""
        parts, starts, at = [], [], 0
        for index, payload in enumerate(self.payloads):
            marker = 0x80 if index == len(self.payloads) - 1 else 0
            part = struct.pack("!BBHBBHII", 0x24, 0, 12 + len(payload), 0x80, marker, 0, 0, 0) + payload
            parts.append(part)
            starts.append(at)
            at += len(part)
        return b"".join(parts), tuple(starts)


@dataclass(frozen=True)
class Media:
    """A clip ready to be sent. ``duration`` is one round of the loop in CLOCK_HZ ticks."""

    codec: str
    payload_type: int
    width: int
    height: int
    units: tuple[Unit, ...]
    duration: int
    frame_ticks: int
    parameter_sets: tuple[bytes, ...]
    in_sdp: bool

    def sdp(self, control: str) -> list[str]:
        """The lines of this clip's media section."""
        lines = [f"m=video 0 RTP/AVP {self.payload_type}", f"a=framerate:{CLOCK_HZ / self.frame_ticks:g}"]
        if self.codec == "h264":
            more = ""
            if self.in_sdp:
                sps = self.parameter_sets[0]
                sets = ",".join(base64.b64encode(nal).decode() for nal in self.parameter_sets)
                more = f";profile-level-id={sps[1:4].hex().upper()};sprop-parameter-sets={sets}"
            lines += ["a=rtpmap:96 H264/90000", f"a=fmtp:96 packetization-mode=1{more}"]
        elif self.codec == "hevc":
            lines += ["a=rtpmap:96 H265/90000"]
            if self.in_sdp:
                names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
                sets = ";".join(
                    f"{names[nal_type('hevc', nal)]}={base64.b64encode(nal).decode()}"
                    for nal in self.parameter_sets
                )
                lines += [f"a=fmtp:96 {sets}"]
        else:
            lines += ["a=rtpmap:26 JPEG/90000"]
        return [*lines, f"a=control:{control}"]


def load(path: Path | str, parameter_sets: str = "both") -> Media:
    """Read and packetise the video of ``path``.

    Raises ValueError for another codec, unknown ``parameter_sets``, or a JPEG that RFC 2435 cannot carry.
    """
    if parameter_sets not in PARAMETER_SETS:
        raise ValueError(f"parameter_sets is one of {PARAMETER_SETS}, got {parameter_sets!r}")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.name
        packets = list(_annex_b(stream, container.demux(stream)))
        size = (stream.codec_context.width, stream.codec_context.height)
    if codec not in ("h264", "hevc", "mjpeg"):
        raise ValueError(f"{path}: only h264, hevc and mjpeg go over RTP here, this is {codec}")
    sets = _parameter_sets(codec, packets)
    times = [(_ticks(p.dts, p.time_base), _ticks(p.pts, p.time_base)) for p in packets]
    zero = times[0][0]
    frame_ticks = round(statistics.median(b[0] - a[0] for a, b in itertools.pairwise(times)))
    units = []
    for packet, (dts, pts) in zip(packets, times, strict=True):
        data = bytes(packet)
        if codec == "mjpeg":
            payloads, key = jpeg_payloads(data, *size, MTU_BYTES), True
        else:
            nals, key = _arrange(codec, split_nals(data), sets, parameter_sets)
            payloads = [part for nal in nals for part in _fragments(codec, nal)]
        units.append(Unit(key or bool(packet.is_keyframe), dts - zero, pts - zero, tuple(payloads)))
    return Media(
        codec=codec,
        payload_type=26 if codec == "mjpeg" else 96,
        width=size[0],
        height=size[1],
        units=tuple(units),
        duration=units[-1].dts + frame_ticks,
        frame_ticks=frame_ticks,
        parameter_sets=tuple(sets),
        in_sdp=parameter_sets != "inband",
    )


def nal_type(codec: str, nal: bytes) -> int:
    return nal[0] & 0x1F if codec == "h264" else (nal[0] >> 1) & 0x3F


def split_nals(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B byte stream, without start codes."""
    parts = data.split(b"\x00\x00\x01")
    return [nal for part in parts[1:] if (nal := part.rstrip(b"\x00"))]


def _annex_b(stream: Any, packets: Iterable[Any]) -> Iterator[Any]:
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
    if codec == "mjpeg" or not extradata.startswith(b"\x01"):
        yield from (packet for packet in packets if packet.size)
        return
    to_annex_b = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
    for packet in packets:
        if packet.size:
            yield from to_annex_b.filter(packet)
    yield from to_annex_b.filter(None)


def _parameter_sets(codec: str, packets: Sequence[Any]) -> list[bytes]:
    wanted = _PARAMETER_NALS.get(codec, ())
    found: dict[bytes, None] = {}
    for packet in packets if wanted else ():
        for nal in split_nals(bytes(packet)):
            if nal_type(codec, nal) in wanted:
                found[nal] = None
        if found:
            break
    return sorted(found, key=lambda nal: nal_type(codec, nal))


def _arrange(codec: str, nals: list[bytes], sets: Sequence[bytes], where: str) -> tuple[list[bytes], bool]:
    """The NAL units to send for one access unit, and whether it holds a random access picture."""
    key = any(nal_type(codec, nal) in _KEY_NALS[codec] for nal in nals)
    if where in ("both", "inband"):
        return nals, key
    bare = [nal for nal in nals if nal_type(codec, nal) not in _PARAMETER_NALS[codec]]
    if where == "sdp" or not key:
        return bare, key
    out: list[bytes] = []
    for nal in bare:
        out += [*sets, nal] if nal_type(codec, nal) in _KEY_NALS[codec] else [nal]
    return out, key


def _fragments(codec: str, nal: bytes) -> Iterator[bytes]:
    """One NAL unit as a single-NAL payload or as fragmentation units (FU-A, type 28; HEVC FU, type 49)."""
    if len(nal) <= MTU_BYTES:
        yield nal
        return
    if codec == "h264":
        head, kind, body = bytes([(nal[0] & 0xE0) | 28]), nal[0] & 0x1F, nal[1:]
    else:
        head, kind, body = bytes([(nal[0] & 0x81) | (49 << 1), nal[1]]), (nal[0] >> 1) & 0x3F, nal[2:]
    step = MTU_BYTES - len(head) - 1
    for at in range(0, len(body), step):
        first, last = (0x80 if at == 0 else 0), (0x40 if at + step >= len(body) else 0)
        yield head + bytes([first | last | kind]) + body[at : at + step]


def _ticks(value: int, time_base: Fraction) -> int:
    return round(value * time_base * CLOCK_HZ)
