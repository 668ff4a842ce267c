"""Many cheap cameras in one process: RTSP over TCP, clips packetised once and replayed in real time.

    python -m benchmarks.cameras CLIP...

Prints its port. ``rtsp://HOST:PORT/NAME/NUMBER`` plays the clip of that name from its first keyframe on, on any
address of this machine (on Linux all of 127.0.0.0/8: each feed can have a host of its own). A connection
costs a timer and a write per picture; what cameras do wrong is the business of ``tests.servers.rtsp``.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from functools import cache
from pathlib import Path

from tests.servers import rtp

ROUNDS_S = 60.0
"""Longest play: nobody looks at a feed for a minute."""


@cache
def packets(clip: Path) -> list[tuple[float, bytes]]:
    """When (s) to send what: the clip over and over, sequence numbers and time stamps running on."""
    media, sequence, base = rtp.load(clip), 0, 0
    found = []
    while base < ROUNDS_S * rtp.CLOCK_HZ:
        for unit in media.units:
            framed, starts = unit.interleaved
            buffer = bytearray(framed)
            for start in starts:
                stamp = (base + unit.pts) & 0xFFFFFFFF
                struct.pack_into("!HII", buffer, start + 6, sequence & 0xFFFF, stamp, 0x5CE9E)
                buffer[start + 5] |= media.payload_type
                sequence += 1
            found.append(((base + unit.dts) / rtp.CLOCK_HZ, bytes(buffer)))
        base += media.duration
    return found


class Camera(asyncio.Protocol):
    """One viewer's connection."""

    def __init__(self, clips: dict[str, Path]) -> None:
        self._clips, self._name, self._data = clips, "", b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while self._data[:1] == b"$" and len(self._data) >= 4:
            self._data = self._data[4 + int.from_bytes(self._data[2:4], "big") :]
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head, self._data = self._data[:end].decode(), self._data[end + 4 :]
            self._answer(head)

    def _answer(self, head: str) -> None:
        method, url, _ = head.split("\r\n", maxsplit=1)[0].split(" ")
        number = next(line for line in head.split("\r\n") if line.lower().startswith("cseq"))
        name = url.split("/")[3]
        more, body = "", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            if name not in self._clips:
                self._transport.write(f"RTSP/1.0 404 Not Found\r\n{number}\r\n\r\n".encode())
                return
            self._name = name
            lines = [
                "v=0",
                "o=- 1 1 IN IP4 127.0.0.1",
                "s=-",
                "c=IN IP4 0.0.0.0",
                "t=0 0",
                "a=range:npt=now-",
            ]
            media = rtp.load(self._clips[name]) if name not in _SDP else None
            sdp = _SDP.setdefault(name, [] if media is None else media.sdp("trackID=0"))
            body = "\r\n".join([*lines, *sdp, ""])
            more = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n"
        elif method == "PLAY":
            more = "Session: 1\r\n"
        self._transport.write(f"RTSP/1.0 200 OK\r\n{number}\r\n{more}\r\n{body}".encode())
        if method == "PLAY":
            self._play(asyncio.get_running_loop().time(), 0)
        elif method == "TEARDOWN":
            self._transport.close()

    def _play(self, began_s: float, at: int) -> None:
        if self._transport.is_closing():
            return
        loop, todo = asyncio.get_running_loop(), packets(self._clips[self._name])
        now_s = loop.time() - began_s
        while at < len(todo) and todo[at][0] <= now_s:
            self._transport.write(todo[at][1])
            at += 1
        if at < len(todo):
            self._timer = loop.call_at(began_s + todo[at][0], self._play, began_s, at)


_SDP: dict[str, list[str]] = {}


async def serve(clips: dict[str, Path]) -> None:
    for clip in clips.values():
        packets(clip)
    server = await asyncio.get_running_loop().create_server(lambda: Camera(clips), "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve({Path(clip).stem: Path(clip) for clip in sys.argv[1:]}))
