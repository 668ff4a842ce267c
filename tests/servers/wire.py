"""A bare RTSP client over a socket, to see on the wire what a server does. Nothing here waits for ever."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PHASES = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY")


@dataclass(frozen=True)
class Packet:
    """One interleaved RTP packet."""

    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes


@dataclass
class Seen:
    """What a dialogue came to: the last phase tried, its status (0: no answer), how it ended.

    ``ending`` is open (the wait was over while bytes still came), silent, closed or reset. ``raw``
    is everything after the last answer.
    """

    phase: str = ""
    status: int = 0
    head: str = ""
    sdp: str = ""
    ending: str = "open"
    raw: bytes = b""
    packets: list[Packet] = field(default_factory=list)
    n_reports: int = 0
    n_junk_bytes: int = 0

    @property
    def units(self) -> list[list[Packet]]:
        """The packets by access unit: those of one timestamp."""
        found: dict[int, list[Packet]] = {}
        for packet in self.packets:
            found.setdefault(packet.timestamp, []).append(packet)
        return list(found.values())


class Wire:
    """A connection to the server of ``url``; each wait ends after ``wait_s``."""

    def __init__(self, url: str, wait_s: float = 0.25) -> None:
        parts = urlsplit(url)
        self.url, self.wait_s = url, wait_s
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=5)
        self._buffer = b""
        self._cseq = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, method: str, url: str = "", **headers: str) -> None:
        self._cseq += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self._cseq}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def answer(self) -> tuple[str, str, str]:
        """Head, body and how it ended ("" for a complete answer)."""
        ending = self._fill(lambda data: b"\r\n\r\n" in data)
        if ending:
            return "", "", ending
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        length = next(
            (int(line[15:]) for line in text.split("\r\n") if line.lower().startswith("content-length:")), 0
        )
        self._buffer = rest
        ending = self._fill(lambda data: len(data) >= length)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return text, body.decode("latin-1"), ending

    def play(self, for_s: float = 0.4, n_packets: int = 100_000) -> Seen:
        """Go from OPTIONS to PLAY by TCP and collect up to ``n_packets`` or for ``for_s`` seconds."""
        seen = Seen()
        for phase in PHASES:
            if phase == "SETUP":
                controls = [line[10:] for line in seen.sdp.split("\r\n") if line.startswith("a=control:rtsp")]
                url = controls[0] if controls else self.url
                self.ask(phase, url, Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
            else:
                self.ask(phase)
            seen.phase = phase
            seen.head, body, ending = self.answer()
            seen.sdp = body if phase == "DESCRIBE" else seen.sdp
            seen.status = int(seen.head.split(" ")[1]) if seen.head.startswith("RTSP/1.0 ") else 0
            if ending or seen.status != 200:
                seen.ending, seen.raw = ending or "open", self._buffer
                return seen
        end = time.monotonic() + for_s
        while time.monotonic() < end and len(seen.packets) < n_packets:
            seen.ending = self._fill(lambda data: len(data) > 0)
            seen.raw += self._buffer
            if seen.ending:
                break
            self._buffer = b""
            self._parse(seen)
        self._parse(seen)
        return seen

    def _fill(self, enough: Callable[[bytes], bool]) -> str:
        """Read until ``enough(buffer)``; returns "" or why not: silent, closed, reset, open (too much)."""
        end = time.monotonic() + 2 * self.wait_s
        while not enough(self._buffer):
            self._socket.settimeout(self.wait_s)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                return "silent"
            except ConnectionResetError:
                return "reset"
            if not data:
                return "closed"
            self._buffer += data
            if time.monotonic() > end:
                return "open"
        return ""

    def _parse(self, seen: Seen) -> None:
        seen.packets, seen.n_reports, at = [], 0, 0
        while at + 4 <= len(seen.raw) and seen.raw[at] == 0x24:
            channel, length = struct.unpack_from("!BH", seen.raw, at + 1)
            data = seen.raw[at + 4 : at + 4 + length]
            if len(data) < length:
                return
            at += 4 + length
            if channel == 1:
                seen.n_reports += 1
                continue
            _, kind, sequence, timestamp = struct.unpack_from("!BBHI", data)
            seen.packets.append(Packet(sequence, timestamp, kind & 0x7F, bool(kind & 0x80), data[12:]))
        if at < len(seen.raw) and seen.raw[at] != 0x24:
            seen.n_junk_bytes = len(seen.raw) - at
