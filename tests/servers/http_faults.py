"""What can be wrong with our HTTP server, as data: name, behaviour.

A client asks for a fault in the URL (``http://…/snapshot.jpg?fault=drip-body``). It either stands
in for the whole answer or spoils the body of the right one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.servers.bombs import gzip_bomb, jpeg_bomb, png_bomb
from tests.servers.serving import reset


@dataclass(frozen=True)
class Ask:
    """A request's path and parameters."""

    path: str
    query: str = ""
    params: dict[str, str] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        return self.params.get("fault", "")

    def number(self, name: str, default: float) -> float:
        return float(self.params.get(name, default))

    @classmethod
    def of(cls, target: str) -> Ask:
        parts = urlsplit(target)
        return cls(parts.path, parts.query, dict(parse_qsl(parts.query, keep_blank_values=True)))


@dataclass(frozen=True)
class Reply:
    """An answer; ``body`` in parts has no length and ends with the connection."""

    body: bytes | AsyncIterator[bytes] = b""
    kind: str = "text/plain"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Talk(Protocol):
    """What a fault needs of a connection."""

    ask: Ask
    base_url: str
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None: ...


Act = Callable[[Talk], Awaitable[Reply | None]]
Spoil = Callable[[Talk, AsyncIterator[bytes]], AsyncIterator[bytes]]


@dataclass(frozen=True)
class Fault:
    """``act`` replaces the answer, ``spoil`` its body, ``change`` its head."""

    text: str
    act: Act | None = None
    spoil: Spoil | None = None
    change: Callable[[Reply], Reply] | None = None


async def silent(talk: Talk) -> None:
    await asyncio.get_running_loop().create_future()


async def close(talk: Talk) -> None:
    raise ConnectionAbortedError("the fault asked to close")


async def drip_header(talk: Talk) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        await talk.send(b"z")
        await asyncio.sleep(1 / talk.ask.number("rate", 1))


async def endless_headers(talk: Talk) -> None:
    await talk.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await talk.send(b"X-Filler: " + b"z" * 1000 + b"\r\n")
        await asyncio.sleep(0.01)


async def huge_content_length(talk: Talk) -> None:
    await talk.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000000\r\n\r\n\xff\xd8"
    )
    await silent(talk)


async def endless_body(talk: Talk) -> None:
    """``rate`` bytes per second (default 5 MB) for ever, after the start of a JPEG."""
    await talk.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n\xff\xd8\xff\xe0"
    )
    block = b"\x00" * max(1, int(talk.ask.number("rate", 5_000_000) / 100))
    while True:
        await talk.send(block)
        await asyncio.sleep(0.01)


async def endless_chunks(talk: Talk) -> None:
    """Chunked transfer coding, one byte a chunk, ``rate`` chunks per second (default 50) for ever."""
    await talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await talk.send(b"1\r\n\xff\r\n")
        await asyncio.sleep(1 / talk.ask.number("rate", 50))


async def junk(talk: Talk) -> None:
    await talk.send(bytes(range(256)) * 64)
    raise ConnectionAbortedError("said its piece")


def reply(body: bytes, kind: str, status: int = 200, **headers: str) -> Act:
    async def act(talk: Talk) -> Reply:
        return Reply(body, kind, status, {name.replace("_", "-"): value for name, value in headers.items()})

    return act


def bomb(make: Callable[[], bytes], kind: str, **headers: str) -> Act:
    async def act(talk: Talk) -> Reply:
        body = await asyncio.to_thread(make)
        return Reply(body, kind, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return act


def redirect(where: str) -> Act:
    async def act(talk: Talk) -> Reply:
        here = urlsplit(talk.base_url)
        query = "&".join(part for part in talk.ask.query.split("&") if not part.startswith(("fault=", "to=")))
        path = talk.ask.path + (f"?{query}" if query else "")
        targets = {
            "same": f"{here.scheme}://{here.netloc}{path}",
            "other": talk.ask.params.get("to") or f"{here.scheme}://localhost:{here.port}{path}",
            "loop": f"{here.scheme}://{here.netloc}{talk.ask.path}?{talk.ask.query}",
            "file": "file:///etc/hostname",
        }
        return Reply(b"", status=302, headers={"Location": targets[where]})

    return act


async def drip_body(talk: Talk, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in body:
        for at in range(len(part)):
            yield part[at : at + 1]
            await asyncio.sleep(1 / talk.ask.number("rate", 1))


async def _first(talk: Talk, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body's first ``after`` bytes (default 5000)."""
    left = int(talk.ask.number("after", 5000))
    async for part in body:
        yield part[:left]
        left -= len(part)
        if left <= 0:
            return


async def stall_body(talk: Talk, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in _first(talk, body):
        yield part
    await silent(talk)


async def close_body(talk: Talk, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in _first(talk, body):
        yield part
    await talk.writer.drain()
    talk.writer.close()
    raise ConnectionAbortedError("the fault asked to close")


async def reset_body(talk: Talk, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for part in _first(talk, body):
        yield part
    await talk.writer.drain()
    reset(talk.writer)
    raise ConnectionAbortedError("the fault asked to reset")


def truncate(answer: Reply) -> Reply:
    """Half of the body with a Content-Length that agrees, as a camera sends whose buffer is small."""
    return (
        replace(answer, body=answer.body[: len(answer.body) // 2])
        if isinstance(answer.body, bytes)
        else answer
    )


def wrong_type(answer: Reply) -> Reply:
    return replace(answer, kind="application/octet-stream")


_HTML = b"<!doctype html><html><body><form>Please log in: <input name=user></form></body></html>"
_LOGIN = 'Digest realm="IP Camera", nonce="00", algorithm=MD5'

FAULT_TABLE: dict[str, Fault] = {
    "silent": Fault("never answers", silent),
    "close": Fault("closes instead of answering", close),
    "drip-header": Fault("answers with a header at 1 byte/s (rate=bytes/s), never complete", drip_header),
    "endless-headers": Fault("answers with header lines for ever", endless_headers),
    "huge-content-length": Fault("announces 2 TB, sends two bytes, goes silent", huge_content_length),
    "endless-body": Fault("sends a body without end (rate=bytes/s)", endless_body),
    "endless-chunks": Fault("sends one-byte chunks for ever (rate=chunks/s)", endless_chunks),
    "drip-body": Fault("sends the right body at 1 byte/s (rate=bytes/s)", spoil=drip_body),
    "stall-body": Fault("stops after `after` bytes of the body, connection open", spoil=stall_body),
    "close-body": Fault("closes after `after` bytes of the body", spoil=close_body),
    "reset-body": Fault("resets the connection after `after` bytes of the body", spoil=reset_body),
    "truncated": Fault("sends half of the picture as if it were whole", change=truncate),
    "wrong-type": Fault("sends the right body as application/octet-stream", change=wrong_type),
    "text": Fault("sends text and calls it image/jpeg", reply(b"no picture today\n", "image/jpeg")),
    "html": Fault("sends a login page with status 200", reply(_HTML, "text/html")),
    "empty": Fault("sends 0 bytes of image/jpeg", reply(b"", "image/jpeg")),
    "junk": Fault("answers with bytes that are no HTTP", junk),
    "401": Fault("refuses every credential", reply(_HTML, "text/html", 401, WWW_Authenticate=_LOGIN)),
    "403": Fault("forbids it", reply(_HTML, "text/html", 403)),
    "404": Fault("knows no such thing", reply(_HTML, "text/html", 404)),
    "500": Fault("fails inside", reply(_HTML, "text/html", 500)),
    "503": Fault("is overloaded", reply(_HTML, "text/html", 503)),
    "gzip-bomb": Fault(
        "sends 512 MB as 500 kB of gzip", bomb(gzip_bomb, "image/jpeg", Content_Encoding="gzip")
    ),
    "png-bomb": Fault("sends a 30000x30000 PNG of 110 kB", bomb(png_bomb, "image/png")),
    "jpeg-bomb": Fault("sends a small JPEG that claims 65500x65500", bomb(jpeg_bomb, "image/jpeg")),
    "redirect": Fault("302 to the right thing on the same host", redirect("same")),
    "redirect-host": Fault("302 to another host (to=URL, default localhost)", redirect("other")),
    "redirect-loop": Fault("302 to itself for ever", redirect("loop")),
    "redirect-file": Fault("302 to a local file", redirect("file")),
}

HTTP_FAULTS: dict[str, str] = {name: fault.text for name, fault in FAULT_TABLE.items()}
"""Every fault by name with one line on what it does."""
