"""One RTSP connection: its requests, answers, authentication and transports."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Protocol

from tests.servers.auth import Door
from tests.servers.records import Connection, Request
from tests.servers.rtsp_faults import FAULT_TABLE, Act, Wish
from tests.servers.rtsp_media import Route, Sender, send_audio
from tests.servers.serving import until_it_leaves

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from tests.servers import rtp

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
MAX_BODY_BYTES = 1 << 20
NONSENSE = {
    "nonsense-sdp": "this is no description at all\r\nof anything\r\n" * 20,
    "broken-sdp": "v=zero\r\nm=\r\nm=video\r\na=rtpmap:\r\nm=video 99999 RTP/AVP 300 -1\r\n"
    "a=fmtp:96 sprop-parameter-sets=%%%\r\n\x00\x7f=\r\n",
}


class Camera(Protocol):
    """What a dialogue needs of its server."""

    users: dict[str, str]
    auth: str
    default: str
    udp: tuple[socket.socket, socket.socket]

    @property
    def scheme(self) -> str: ...
    def media(self, clip: str, parameter_sets: str = "both") -> rtp.Media: ...


class Dialogue:
    """One RTSP connection: reads requests, answers them, starts senders."""

    def __init__(
        self, server: Camera, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Connection
    ) -> None:
        self.server, self.reader, self.writer, self.seen = server, reader, writer, seen
        self.wish = Wish()
        self.base_url = ""
        self.tasks: list[asyncio.Task[Any]] = []
        self._door = Door()
        self._routes: dict[int, Route] = {}
        self._cseq = "0"

    def write(self, data: bytes) -> None:
        self.seen.n_sent_bytes += len(data)
        self.writer.write(data)

    async def drain(self) -> None:
        await self.writer.drain()

    def answer(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> bytes:
        lines = [f"RTSP/1.0 {status} {reason}", f"CSeq: {self._cseq}", "Server: scenecheck test camera"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", body]).encode()

    async def run(self) -> None:
        """Serve until the client or a sender's fault ends the connection."""
        reading: asyncio.Task[Request | None] | None = None
        try:
            while True:
                reading = reading or asyncio.create_task(self._read())
                await asyncio.wait([reading, *self.tasks], return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    request, reading = reading.result(), None
                    if request is None or not await self._handle(request):
                        return
                for task in [task for task in self.tasks if task.done()]:
                    self.tasks.remove(task)
                    task.result()  # raises what ended the sender; a clean end leaves the dialogue open
        finally:
            if reading:
                reading.cancel()

    async def _read(self) -> Request | None:
        while True:
            first = await self.reader.read(1)
            if not first:
                return None
            if first == b"$":
                head = await self.reader.readexactly(3)
                await self.reader.readexactly(int.from_bytes(head[1:], "big"))
                self.seen.n_rtcp_received += 1
                continue
            if first in b"\r\n":
                continue
            head = first + await self.reader.readuntil(b"\r\n\r\n")
            line, *rest = head.decode("utf-8", "replace").split("\r\n")
            method, url, *_ = [*line.split(" "), "", ""]
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (text.partition(":") for text in rest if text)
            }
            await self.reader.readexactly(min(int(headers.get("content-length") or 0), MAX_BODY_BYTES))
            request = Request(method, url, headers, time.monotonic())
            self.seen.requests.append(request)
            return request

    async def _handle(self, request: Request) -> bool:
        """Answer one request; False ends the connection."""
        wish = Wish.of(request.url, self.server.default)
        if wish.clip:
            self.wish = wish
            if request.method in ("OPTIONS", "DESCRIBE"):
                self.base_url = request.url
        self._cseq = request.headers.get("cseq", "0")
        if not self._allowed(request):
            return True
        if self.wish.fault and self.wish.fault not in FAULT_TABLE:
            self.write(self.answer(400, f"No Fault {self.wish.fault!r} Known"))
            return True
        fault = FAULT_TABLE.get(self.wish.fault)
        phase = self.wish.params.get("phase", fault.phase if fault else "").upper()
        if fault and fault.act and phase in ("ANY", request.method):
            return await self._misbehave(fault.act)
        method = getattr(self, f"_on_{request.method.lower()}", None)
        if method is None:
            self.write(self.answer(501, "Not Implemented"))
            return True
        return bool(await method(request))

    async def _misbehave(self, act: Act) -> bool:
        """Run a fault; one that does not return by itself ends when the client leaves."""
        task = asyncio.ensure_future(act(self))
        leaving: asyncio.Task[None] | None = None
        try:
            await asyncio.wait([task], timeout=0.02)
            if not task.done():
                leaving = asyncio.create_task(until_it_leaves(self.reader))
                await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return True
            return False
        finally:
            for one in (task, leaving):
                if one:
                    one.cancel()

    def _allowed(self, request: Request) -> bool:
        scheme = self.wish.params.get("auth", self.server.auth)
        header = request.headers.get("authorization", "")
        credentials, challenges = self._door.check(
            scheme or "both", header, request.method, self.server.users
        )
        if credentials:
            self.seen.credentials.append(credentials)
        if not scheme or not challenges or request.method == "OPTIONS":
            return True
        lines = "\r\nWWW-Authenticate: ".join(challenges)
        self.write(self.answer(401, "Unauthorized", {"WWW-Authenticate": lines}))
        return False

    async def _on_options(self, request: Request) -> bool:
        self.write(self.answer(200, "OK", {"Public": METHODS}))
        return True

    async def _on_get_parameter(self, request: Request) -> bool:
        self.write(self.answer(200, "OK"))
        return True

    _on_set_parameter = _on_get_parameter

    async def _on_describe(self, request: Request) -> bool:
        try:
            media = await self._media()
        except KeyError:
            self.write(self.answer(404, "Not Found"))
            return True
        body = NONSENSE.get(self.wish.fault) or self._description(media)
        headers = {"Content-Type": "application/sdp", "Content-Base": self.base_url}
        self.write(self.answer(200, "OK", headers, body))
        return True

    async def _media(self) -> rtp.Media:
        """The wished clip, made and packetised off the loop so that other clients do not wait for it."""
        where = self.wish.params.get("parameter_sets", "both")
        if self.wish.fault == "size-change":
            await asyncio.to_thread(
                self._other, self.wish.params.get("to", f"{self.wish.clip.partition('-')[0]}-small")
            )
        return await asyncio.to_thread(self.server.media, self.wish.clip, where)

    def _other(self, clip: str) -> rtp.Media:
        return self.server.media(clip, "inband")

    def _description(self, media: rtp.Media) -> str:
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=scenecheck test camera",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            "a=control:*",
            "a=range:npt=now-",
        ]
        audio = ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", f"a=control:{self._control(1)}"]
        if self._has_audio():
            lines += audio
        if self.wish.fault != "audio-only":
            lines += media.sdp(self._control(0))
        return "\r\n".join([*lines, ""])

    def _has_audio(self) -> bool:
        return self.wish.fault == "audio-only" or bool(self.wish.number("audio", 0))

    def _control(self, track: int) -> str:
        # Absolute, because a relative one appended to a URL with a query lands in the query.
        base, _, query = self.base_url.partition("?")
        return f"{base.rstrip('/')}/trackID={track}" + (f"?{query}" if query else "")

    async def _on_setup(self, request: Request) -> bool:
        has_track = self._has_audio() if self.wish.track else self.wish.fault != "audio-only"
        if not has_track:
            self.write(self.answer(404, "Not Found"))
            return True
        transport, route = self._route(request.headers.get("transport", ""))
        if route is None:
            self.write(self.answer(461, "Unsupported Transport"))
            return True
        self._routes[self.wish.track] = route
        self.seen.transport = "udp" if route.sockets else "tcp"
        headers = {"Transport": transport, "Session": f"{self.seen.number:08d};timeout=60"}
        self.write(self.answer(200, "OK", headers))
        return True

    def _route(self, wanted: str) -> tuple[str, Route | None]:
        for one in wanted.split(","):
            if match := re.search(r"interleaved=(\d+)-(\d+)", one):
                return f"RTP/AVP/TCP;unicast;interleaved={match[1]}-{match[2]}", Route(
                    self.writer, int(match[1])
                )
            if "RTP/AVP/TCP" in one:
                channel = 2 * len(self._routes)
                return f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}", Route(self.writer, channel)
            if (match := re.search(r"client_port=(\d+)-(\d+)", one)) and not self.seen.tls:
                ports = tuple(udp.getsockname()[1] for udp in self.server.udp)
                address = (self.seen.peer[0], int(match[1]), int(match[2]))
                text = f"RTP/AVP;unicast;client_port={match[1]}-{match[2]};server_port={ports[0]}-{ports[1]}"
                return text, Route(self.writer, 0, self.server.udp, address)
        return "", None

    async def _on_play(self, request: Request) -> bool:
        headers = {"Session": f"{self.seen.number:08d}", "Range": "npt=now-"}
        media = await self._media()
        new: list[Any] = []
        if 0 in self._routes and not self.tasks:
            sender = Sender(media, self.wish, self._routes[0], self.seen, self._other)
            headers["RTP-Info"] = (
                f"url={self._control(0)};seq={sender.sequence};rtptime={sender.first_timestamp}"
            )
            new.append(sender.run())
        if 1 in self._routes and not self.tasks:
            new.append(send_audio(self._routes[1], self.seen))
        self.write(self.answer(200, "OK", headers))
        self.tasks += [asyncio.ensure_future(one) for one in new]
        return True

    async def _on_pause(self, request: Request) -> bool:
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        self.write(self.answer(200, "OK", {"Session": f"{self.seen.number:08d}"}))
        return True

    async def _on_teardown(self, request: Request) -> bool:
        for task in self.tasks:
            task.cancel()
        self.write(self.answer(200, "OK", {"Session": f"{self.seen.number:08d}"}))
        await self.drain()
        return False
