"""Sending a clip to one client: real-time pacing, RTP headers, RTCP, and what can go wrong with media."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.servers.rtp import CLOCK_HZ, Media, Unit
from tests.servers.serving import reset

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from tests.servers.rtsp_faults import Wish

FIRST_SEQUENCE = 65_500
"""Near the 16-bit wrap, so that every stream passes it."""
FIRST_TIMESTAMP = 2**32 - 5 * CLOCK_HZ
"""Wraps after five seconds, for the same reason."""
MAX_QUEUED_BYTES = 4 << 20
"""A live camera drops pictures for a client that does not read; so do we beyond this."""
UDP_BURST_PACKETS = 16
"""A keyframe sent at once over UDP overruns the receiver's default socket buffer."""
SENDER_REPORT_S = 1.0
NTP_OFFSET_S = 2_208_988_800


class Counter(Protocol):
    """What a sender reports about itself."""

    n_sent_bytes: int
    n_rtp_packets: int
    n_units: int
    n_dropped_units: int


@dataclass
class Route:
    """Where packets go: interleaved in ``writer`` on ``channel``, or by UDP sockets to ``address``."""

    writer: asyncio.StreamWriter
    channel: int = 0
    sockets: tuple[socket.socket, socket.socket] | None = None
    address: tuple[str, int, int] = ("", 0, 0)

    def send(self, packet: bytes, *, control: bool = False) -> int:
        """Send one RTP (or RTCP, ``control``) packet; returns the bytes on the wire."""
        if self.sockets:
            host, *ports = self.address
            try:
                self.sockets[control].sendto(packet, (host, ports[control]))
            except (BlockingIOError, ConnectionRefusedError):
                return 0  # a full buffer or a client that left loses packets, as on a network
            return len(packet)
        self.writer.write(struct.pack("!BBH", 0x24, self.channel + control, len(packet)) + packet)
        return len(packet) + 4


@dataclass(frozen=True)
class Due:
    """An access unit and its times in CLOCK_HZ ticks from the first one sent."""

    dts: int
    pts: int
    unit: Unit


@dataclass
class Sender:
    """Sends one video track until it is cancelled or its fault ends it.

    Raises ConnectionAbortedError when the fault closes the connection.
    """

    media: Media
    wish: Wish
    route: Route
    seen: Counter
    other: Callable[[str], Media]
    seed: int = 1
    sequence: int = FIRST_SEQUENCE
    ssrc: int = 0x5CE9ECC
    _n_octets: int = 0
    _next_report_s: float = 0.0
    _waiting_for_key: bool = False
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(int(self.wish.number("seed", self.seed)))

    @property
    def first_timestamp(self) -> int:
        """RTP timestamp of the first access unit."""
        return (FIRST_TIMESTAMP + next(self._timeline()).pts) & 0xFFFFFFFF

    async def run(self) -> None:
        fault, after = self.wish.fault, int(self.wish.number("after", 12))
        if fault in ("no-media", "rtcp-only", "drip-rtp", "non-rtp"):
            await self._without_pictures(fault)
        speed = self.wish.number("speed", 1)
        start_s, shift, timestamp = time.monotonic(), 0, 0
        for n, due in enumerate(self._timeline()):
            if self.route.writer.transport.is_closing():
                raise ConnectionResetError("the client has gone")
            if n == after:
                await self._end(fault)
                shift = -3600 * CLOCK_HZ if fault == "timestamp-jump" else 0
            if speed:
                await asyncio.sleep(start_s + due.dts / CLOCK_HZ / speed - time.monotonic())
            else:
                await self.route.writer.drain()
                await asyncio.sleep(0)
            timestamp = (FIRST_TIMESTAMP + due.pts + shift) & 0xFFFFFFFF
            self._report(timestamp)
            await self._send_unit(due.unit, timestamp, live=bool(speed))
        self._report(timestamp, goodbye=True)

    def _timeline(self) -> Iterator[Due]:
        """The access units to send; times run on over the rounds of the loop."""
        media, fault = self.media, self.wish.fault
        after, n, base = int(self.wish.number("after", 12)), 0, 0
        zero: int | None = None
        loops = int(self.wish.number("loops", 0))
        units: Sequence[Unit] = media.units
        skip = 0
        if fault == "no-keyframe":
            units = [unit for unit in units if not unit.key]
        elif fault == "frozen":
            units = [next(unit for unit in units if unit.key)]
        elif fault == "no-burst":
            skip = self._middle_of_gop()
        step = media.frame_ticks if fault == "frozen" else media.duration
        done = 0
        while not loops or done < loops:
            for unit in units[skip:]:
                if fault == "size-change" and n == after:
                    media = self.other(self.wish.params.get("to", f"{self.media.codec}-small"))
                    units, step, n, base = media.units, media.duration, n + 1, base + unit.dts
                    break
                zero = base + unit.dts if zero is None else zero
                yield Due(base + unit.dts - zero, base + unit.pts - zero, unit)
                n += 1
            else:
                done, base = done + 1, base + step
            skip = 0

    def _middle_of_gop(self) -> int:
        keys = [index for index, unit in enumerate(self.media.units) if unit.key]
        end = keys[1] if len(keys) > 1 else len(self.media.units)
        return (keys[0] + end) // 2

    async def _send_unit(self, unit: Unit, timestamp: int, *, live: bool) -> None:
        if live and not self.route.sockets:
            queued = self.route.writer.transport.get_write_buffer_size()
            self._waiting_for_key = queued > MAX_QUEUED_BYTES or (self._waiting_for_key and not unit.key)
            if self._waiting_for_key:
                self.seen.n_dropped_units += 1
                return
        self.seen.n_units += 1
        self.seen.n_rtp_packets += len(unit.payloads)
        if self.route.sockets or self.wish.fault in (
            "loss",
            "reorder",
            "duplicate",
            "corrupt",
            "garbage-rtp",
        ):
            packets = self._spoil(list(self._packets(unit, timestamp)))
            for index, packet in enumerate(packets):
                self.seen.n_sent_bytes += self.route.send(packet)
                if self.route.sockets and index % UDP_BURST_PACKETS == UDP_BURST_PACKETS - 1:
                    await asyncio.sleep(0.001)
            return
        framed, starts = unit.interleaved
        buffer = bytearray(framed)
        for start in starts:
            buffer[start + 1] = self.route.channel
            struct.pack_into("!HII", buffer, start + 6, self.sequence, timestamp, self.ssrc)
            buffer[start + 5] |= self.media.payload_type
            self.sequence = (self.sequence + 1) & 0xFFFF
        self._n_octets += len(buffer) - 16 * len(starts)
        self.seen.n_sent_bytes += len(buffer)
        self.route.writer.write(buffer)

    def _packets(self, unit: Unit, timestamp: int) -> Iterator[bytes]:
        for index, payload in enumerate(unit.payloads):
            marker = 0x80 if index == len(unit.payloads) - 1 else 0
            head = struct.pack(
                "!BBHII", 0x80, marker | self.media.payload_type, self.sequence, timestamp, self.ssrc
            )
            self.sequence = (self.sequence + 1) & 0xFFFF
            self._n_octets += len(payload)
            yield head + payload

    def _spoil(self, packets: list[bytes]) -> list[bytes]:
        rng, fault = self._rng, self.wish.fault
        chance = self.wish.number("loss", 0.05 if fault == "loss" else 0.1)
        if fault == "loss":
            return [packet for packet in packets if rng.random() >= chance]
        if fault == "duplicate":
            return [copy for packet in packets for copy in (packet,) * (1 + (rng.random() < chance))]
        if fault == "garbage-rtp":
            return [packet[:12] + rng.randbytes(len(packet) - 12) for packet in packets]
        if fault == "corrupt":
            return [_flip(packet, rng) if rng.random() < chance else packet for packet in packets]
        if fault == "reorder":
            for index in range(1, len(packets)):
                if rng.random() < chance:
                    packets[index - 1], packets[index] = packets[index], packets[index - 1]
        return packets

    def _report(self, timestamp: int, *, now: bool = False, goodbye: bool = False) -> None:
        """Send an RTCP sender report with its CNAME when one is due (RFC 3550 §6.4.1)."""
        if time.monotonic() < self._next_report_s and not now and not goodbye:
            return
        self._next_report_s = time.monotonic() + SENDER_REPORT_S
        wall = time.time() + NTP_OFFSET_S
        counts = (self.seen.n_rtp_packets & 0xFFFFFFFF, self._n_octets & 0xFFFFFFFF)
        report = struct.pack(
            "!BBHIIIIII", 0x80, 200, 6, self.ssrc, int(wall), int(wall % 1 * 2**32), timestamp, *counts
        )
        cname = b"\x01\x0a" + b"scenecheck" + b"\x00" * 4
        source = struct.pack("!BBHI", 0x81, 202, (4 + len(cname)) // 4, self.ssrc) + cname
        end = struct.pack("!BBHI", 0x81, 203, 1, self.ssrc) if goodbye else b""
        self.seen.n_sent_bytes += self.route.send(report + source + end, control=True)

    async def _end(self, fault: str) -> None:
        """What happens after the first ``after`` access units; returns if the stream goes on."""
        if fault == "stall":
            await asyncio.get_running_loop().create_future()
        if fault == "close":
            await self.route.writer.drain()
            self.route.writer.close()
            raise ConnectionAbortedError("the fault asked to close")
        if fault == "reset":
            reset(self.route.writer)
            raise ConnectionAbortedError("the fault asked to reset")
        if fault == "non-rtp-later":
            await self._junk()

    async def _without_pictures(self, fault: str) -> None:
        if fault == "no-media":
            await asyncio.get_running_loop().create_future()
        if fault == "rtcp-only":
            while True:
                self._report(FIRST_TIMESTAMP, now=True)
                await asyncio.sleep(1 / self.wish.number("rate", 1))
        if fault == "drip-rtp":
            packets = (packet for due in self._timeline() for packet in self._packets(due.unit, due.pts))
            for byte in (b for packet in packets for b in struct.pack("!BBH", 0x24, 0, len(packet)) + packet):
                self.route.writer.write(bytes([byte]))
                self.seen.n_sent_bytes += 1
                await asyncio.sleep(1 / self.wish.number("rate", 1))
        await self._junk()

    async def _junk(self) -> None:
        """Text where interleaved frames should be, ten times a second."""
        while True:
            self.route.writer.write(b"this is no interleaved RTP at all\r\n" * 40)
            await asyncio.sleep(0.1)


async def send_audio(route: Route, seen: Counter, payload_type: int = 8) -> None:
    """PCMA silence in 20 ms packets for ever."""
    start_s, n = time.monotonic(), 0
    while True:
        head = struct.pack("!BBHII", 0x80, payload_type, n & 0xFFFF, (n * 160) & 0xFFFFFFFF, 0xA0D10)
        seen.n_sent_bytes += route.send(head + b"\xd5" * 160)
        seen.n_rtp_packets += 1
        n += 1
        await asyncio.sleep(start_s + n * 0.02 - time.monotonic())


def _flip(packet: bytes, rng: random.Random) -> bytes:
    spoiled = bytearray(packet)
    for _ in range(4):
        spoiled[rng.randrange(14, len(spoiled)) if len(spoiled) > 14 else -1] ^= rng.randrange(1, 256)
    return bytes(spoiled)
