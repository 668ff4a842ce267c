"""An HTTP server of our own: snapshots, MJPEG, HLS, files, authentication, TLS, and every fault on request.

In tests it is a fixture (``http_server``, ``https_server``). What a URL offers:

===========================  ====================================================================
``/snapshot.jpg``            a JPEG; ``mode=static|changing|frozen``, ``width``, ``height``
``/stream.mjpg``             multipart/x-mixed-replace; ``fps``, ``n`` parts, ``mode``, ``length=0``
``/hls/CLIP/live.m3u8``      a live playlist; also ``vod.m3u8``, ``master.m3u8``; ``/hls-fmp4/…``
``/hostile/NAME.m3u8``       playlists of ``PLAYLISTS``; ``to=`` other base URL, ``file=`` path
``/file/CLIP``               the clip's file, with ranges (``ranges=0``: without)
``/redirect?to=URL``         302 to anywhere
===========================  ====================================================================

Everywhere: ``fault`` (one of ``HTTP_FAULTS``, tuned by ``rate``, ``after``, ``to``) and ``auth``
(basic, digest, digest-qop, digest-stale, both).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tests.servers.auth import Credentials, Door
from tests.servers.hls import PLAYLISTS, Hls, hostile
from tests.servers.http_faults import FAULT_TABLE, HTTP_FAULTS, Ask, Reply
from tests.servers.media import jpeg
from tests.servers.records import ClipStore, Connection, Request
from tests.servers.serving import ServerThread, until_it_leaves

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

__all__ = ["HTTP_FAULTS", "PLAYLISTS", "HttpServer"]


class HttpServer(ServerThread):
    """Serves ``clips`` by name; segments are written into ``directory``. ``users`` may change at any time."""

    def __init__(
        self,
        clips: ClipStore,
        directory: Path,
        *,
        users: Mapping[str, str] | None = None,
        auth: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(tls=tls, host=host, port=port)
        self.clips, self.directory, self.auth = clips, directory, auth
        self.users: dict[str, str] = dict(users or {"viewer": "secret"})
        self.connections: list[Connection] = []
        self.door = Door()
        self.n_pictures = 0
        self._hls: dict[tuple[str, str], Hls] = {}

    @property
    def requests(self) -> list[Request]:
        return [request for connection in self.connections for request in connection.requests]

    @property
    def credentials(self) -> list[Credentials]:
        """Every credential received, in order, by all connections."""
        return [one for connection in self.connections for one in connection.credentials]

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def url(
        self,
        path: str = "snapshot.jpg",
        fault: str = "",
        *,
        user: str = "",
        password: str = "",
        **query: object,
    ) -> str:
        """The URL of ``path`` with that ``fault`` and further parameters."""
        if fault and fault not in HTTP_FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(HTTP_FAULTS)}")
        text = urlencode(({"fault": fault} if fault else {}) | query)
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
        scheme, _, rest = self.base_url.partition("://")
        return f"{scheme}://{login}{rest}/{path.lstrip('/')}" + (f"?{text}" if text else "")

    @contextlib.contextmanager
    def clean(self) -> Iterator[None]:
        """Nothing seen yet, and users and auth as before once the block is left."""
        before = dict(self.users), self.auth
        self.connections, self.n_pictures, self.door, self._hls = [], 0, Door(), {}
        try:
            yield
        finally:
            self.users, self.auth = before

    def hls(self, clip: str, kind: str) -> Hls:
        """The clip's segments. Raises KeyError for an unknown clip."""
        if (clip, kind) not in self._hls:
            self._hls[clip, kind] = Hls(self.clips[clip], self.directory / f"{clip}-{kind}", kind)
        return self._hls[clip, kind]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Connection(len(self.connections), writer.get_extra_info("peername"), self.tls is not None)
        self.connections.append(seen)
        try:
            await _Exchange(self, reader, writer, seen).run()
        except Exception as error:
            seen.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            seen.closed_s = time.monotonic()


class _Exchange:
    """One HTTP connection with its requests."""

    def __init__(
        self, server: HttpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Connection
    ) -> None:
        self.server, self.reader, self.writer, self.seen = server, reader, writer, seen
        self.base_url = server.base_url
        self.ask = Ask("/")

    async def run(self) -> None:
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *rest = head.decode("latin-1").split("\r\n")
            method, target, *_ = [*line.split(" "), "", ""]
            pairs = (text.partition(":") for text in rest if text)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            await self.reader.readexactly(min(int(headers.get("content-length") or 0), 1 << 20))
            request = Request(method, target, headers, time.monotonic())
            self.seen.requests.append(request)
            self.ask = Ask.of(target)
            answering = asyncio.create_task(self._answer(request))
            leaving = asyncio.create_task(until_it_leaves(self.reader)) if self._is_long() else None
            try:
                await asyncio.wait(
                    [answering, *([leaving] if leaving else [])], return_when=asyncio.FIRST_COMPLETED
                )
                if not answering.done() or not answering.result():
                    return
            finally:
                for one in (answering, leaving):
                    if one:
                        one.cancel()

    def _is_long(self) -> bool:
        """Whether the answer may never end, so that only the client's leaving ends it."""
        fault = FAULT_TABLE.get(self.ask.fault)
        return self.ask.path == "/stream.mjpg" or bool(fault and (fault.act or fault.spoil))

    async def send(self, data: bytes) -> None:
        self.seen.n_sent_bytes += len(data)
        self.writer.write(data)
        await self.writer.drain()

    async def _answer(self, request: Request) -> bool:
        """Send one answer; False when the connection ends with it."""
        fault = FAULT_TABLE.get(self.ask.fault)
        answer = self._refusal(request)
        if answer is None and fault and fault.act:
            answer = await fault.act(self)
            if answer is None:
                return False
        if answer is None:
            answer = await self._right(request)
            if fault and fault.change:
                answer = fault.change(answer)
        spoil = fault.spoil if fault else None
        length = len(answer.body) if isinstance(answer.body, bytes) else None
        stays = length is not None and not spoil and not self._is_long()
        lines = [
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
            f"Content-Type: {answer.kind}",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines += [f"Content-Length: {length}"] if length is not None else []
        lines += ["Connection: keep-alive" if stays else "Connection: close"]
        await self.send("\r\n".join([*lines, "", ""]).encode())
        if request.method != "HEAD":
            body = _parts(answer.body) if isinstance(answer.body, bytes) else answer.body
            async for part in spoil(self, body) if spoil else body:
                await self.send(part)
        return stays

    def _refusal(self, request: Request) -> Reply | None:
        scheme = self.ask.params.get("auth", self.server.auth)
        header = request.headers.get("authorization", "")
        credentials, challenges = self.server.door.check(
            scheme or "both", header, request.method, self.server.users
        )
        if credentials:
            self.seen.credentials.append(credentials)
        if not scheme or not challenges:
            return None
        return Reply(b"", status=401, headers={"WWW-Authenticate": "\r\nWWW-Authenticate: ".join(challenges)})

    async def _right(self, request: Request) -> Reply:
        """The answer without a fault."""
        first, _, rest = self.ask.path.strip("/").partition("/")
        if first == "snapshot.jpg":
            return Reply(self._picture(), "image/jpeg", headers={"Date": formatdate(usegmt=True)})
        if first == "stream.mjpg":
            return Reply(self._mjpeg(), "multipart/x-mixed-replace; boundary=--frame")
        if first == "redirect":
            return Reply(status=302, headers={"Location": self.ask.params["to"]})
        if first in ("hls", "hls-fmp4"):
            return await asyncio.to_thread(self._hls, rest, "mpegts" if first == "hls" else "fmp4")
        if first == "hostile":
            other = self.ask.params.get("to", self.base_url.replace("127.0.0.1", "localhost"))
            text = hostile(
                rest.removesuffix(".m3u8"), self.base_url, other, self.ask.params.get("file", "/etc/hostname")
            )
            return _playlist(text)
        if first == "file":
            return await asyncio.to_thread(self._file, rest, request)
        return Reply(b"not here\n", status=404)

    def _picture(self) -> bytes:
        number = self.server.n_pictures if self.ask.params.get("mode") == "changing" else 0
        self.server.n_pictures += 1
        return jpeg(number, int(self.ask.number("width", 640)), int(self.ask.number("height", 360)))

    async def _mjpeg(self) -> AsyncIterator[bytes]:
        n_parts, fps = int(self.ask.number("n", 1 << 30)), self.ask.number("fps", 10)
        changing, start_s = self.ask.params.get("mode", "changing") == "changing", time.monotonic()
        for n in range(n_parts):
            data = jpeg(
                n if changing else 0, int(self.ask.number("width", 640)), int(self.ask.number("height", 360))
            )
            length = f"Content-Length: {len(data)}\r\n" if self.ask.number("length", 1) else ""
            yield f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode() + data + b"\r\n"
            await asyncio.sleep(start_s + (n + 1) / fps - time.monotonic())
        yield b"--frame--\r\n"

    def _hls(self, rest: str, kind: str) -> Reply:
        clip, _, name = rest.partition("/")
        try:
            stream = self.server.hls(clip, kind)
        except KeyError:
            return Reply(b"no such clip\n", status=404)
        if name.endswith(".m3u8"):
            return _playlist(stream.playlist(name))
        data = stream.segment(name)
        return Reply(b"no such segment\n", status=404) if data is None else Reply(data, "video/mp2t")

    def _file(self, clip: str, request: Request) -> Reply:
        try:
            data = self.server.clips[clip].read_bytes()
        except KeyError:
            return Reply(b"no such clip\n", status=404)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not match or not self.ask.number("ranges", 1):
            return Reply(data, "video/mp4")
        first, last = int(match[1]), min(int(match[2] or len(data) - 1), len(data) - 1)
        if first > last:
            return Reply(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "Accept-Ranges": "bytes"}
        return Reply(data[first : last + 1], "video/mp4", 206, headers)


async def _parts(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 1 << 16):
        yield body[at : at + (1 << 16)]


def _playlist(text: str | None) -> Reply:
    if text is None:
        return Reply(b"no such playlist\n", status=404)
    return Reply(text.encode(), "application/vnd.apple.mpegurl", headers={"Cache-Control": "no-cache"})
