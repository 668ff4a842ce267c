"""What can be wrong with our RTSP server's dialogue, as data: name, phase, behaviour.

A client asks for a fault in the URL (``rtsp://…/h264?fault=silent-play``). Faults of the phase
MEDIA are behaviours of ``rtsp_media.Sender``; the others are coroutines here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.servers.serving import reset

Params = dict[str, str]

HUGE = (
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: 2000000000\r\n\r\nv=0\r\n"
)


@dataclass(frozen=True)
class Wish:
    """What a request's URL asks for: clip, track, fault and their parameters."""

    clip: str = ""
    track: int = 0
    fault: str = ""
    params: Params = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        return float(self.params.get(name, default))

    @classmethod
    def of(cls, url: str, default: str = "") -> Wish:
        """Read ``url``; ``default`` is a query string that holds where the URL says nothing."""
        parts = urlsplit(url)
        path, query = parts.path, parts.query
        track = 0
        for text in (path, query):
            if "trackID=" in text:
                track = int(text.rpartition("trackID=")[2][:1] or 0)
        query = query.partition("/trackID=")[0].rstrip("/")
        path = path.partition("/trackID=")[0].strip("/")
        params = dict(parse_qsl(default)) | dict(parse_qsl(query, keep_blank_values=True))
        params.pop("trackID", None)
        return cls(clip=path, track=track, fault=params.pop("fault", ""), params=params)


class Talk(Protocol):
    """What a fault needs of a connection."""

    wish: Wish
    base_url: str
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def answer(
        self, status: int, reason: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> bytes: ...


Act = Callable[[Talk], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """``act`` replaces the answer to the first request of ``phase``; None: the media sender does it."""

    text: str
    phase: str
    act: Act | None = None


async def silent(talk: Talk) -> None:
    """Keep the connection open and never say anything again."""
    await asyncio.get_running_loop().create_future()


async def close(talk: Talk) -> None:
    raise ConnectionAbortedError("the fault asked to close")


async def reset_now(talk: Talk) -> None:
    reset(talk.writer)
    raise ConnectionAbortedError("the fault asked to reset")


async def drip_header(talk: Talk) -> None:
    """A correct status line, then headers at ``rate`` bytes per second (default 1) without an end."""
    talk.write(b"RTSP/1.0 200 OK\r\nCSeq: ")
    while True:
        talk.write(b"1")
        await asyncio.sleep(1 / talk.wish.number("rate", 1))


async def endless_headers(talk: Talk) -> None:
    """Header lines for ever, ``rate`` lines per second (default 2000)."""
    talk.write(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
    rate, n = talk.wish.number("rate", 2000), 0
    while True:
        block = b"".join(b"X-Filler-%d: %s\r\n" % (n + i, b"x" * 60) for i in range(max(1, int(rate / 50))))
        n += max(1, int(rate / 50))
        talk.write(block)
        await talk.drain()
        await asyncio.sleep(1 / 50)


async def huge_content_length(talk: Talk) -> None:
    """Announce 2 GB of description, send a little of it, then nothing."""
    talk.write(HUGE)
    await silent(talk)


async def endless_body(talk: Talk) -> None:
    """Announce 2 GB of description and really send them, ``rate`` bytes per second (default 500 kB)."""
    talk.write(HUGE)
    line = b"a=x:" + b"y" * 94 + b"\r\n"
    block = line * max(1, int(talk.wish.number("rate", 500_000) / 50 / len(line)))
    while True:
        talk.write(block)
        await talk.drain()
        await asyncio.sleep(1 / 50)


async def http_junk(talk: Talk) -> None:
    """Answer like a web server."""
    body = "<html><body><h1>400 Bad Request</h1></body></html>"
    talk.write(
        f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}".encode()
    )
    await talk.drain()
    raise ConnectionAbortedError("said its piece")


async def binary_junk(talk: Talk) -> None:
    """Answer with bytes that are no protocol at all."""
    talk.write(bytes(range(256)) * 64)
    await silent(talk)


def status(code: int, reason: str) -> Act:
    async def act(talk: Talk) -> None:
        headers = {}
        if code == 401:
            headers["WWW-Authenticate"] = 'Digest realm="IP Camera", nonce="00", algorithm=MD5'
        talk.write(talk.answer(code, reason, headers))

    return act


def redirect(where: str) -> Act:
    async def act(talk: Talk) -> None:
        here = urlsplit(talk.base_url)
        clip = talk.wish.clip
        targets = {
            "same": f"{here.scheme}://{here.netloc}/{clip}",
            "other": talk.wish.params.get("to") or f"{here.scheme}://localhost:{here.port}/{clip}",
            "loop": f"{here.scheme}://{here.netloc}/{clip}?fault=redirect-loop",
        }
        talk.write(talk.answer(302, "Found", {"Location": targets[where]}))

    return act


FAULT_TABLE: dict[str, Fault] = {
    "silent-accept": Fault("accepts the connection and never says anything", "ANY", silent),
    "silent-options": Fault("never answers OPTIONS", "OPTIONS", silent),
    "silent-describe": Fault("never answers DESCRIBE", "DESCRIBE", silent),
    "silent-setup": Fault("never answers SETUP", "SETUP", silent),
    "silent-play": Fault("never answers PLAY", "PLAY", silent),
    "silent-teardown": Fault("plays, but never answers TEARDOWN", "TEARDOWN", silent),
    "close-accept": Fault("closes at the first request", "ANY", close),
    "close-describe": Fault("closes instead of answering DESCRIBE", "DESCRIBE", close),
    "close-setup": Fault("closes instead of answering SETUP", "SETUP", close),
    "close-play": Fault("closes instead of answering PLAY", "PLAY", close),
    "reset-describe": Fault("resets the connection instead of answering DESCRIBE", "DESCRIBE", reset_now),
    "drip-header": Fault(
        "answers DESCRIBE at 1 byte/s (rate=bytes/s), never complete", "DESCRIBE", drip_header
    ),
    "endless-headers": Fault(
        "answers DESCRIBE with header lines for ever (rate=lines/s)", "DESCRIBE", endless_headers
    ),
    "huge-content-length": Fault(
        "announces a 2 GB description and goes silent", "DESCRIBE", huge_content_length
    ),
    "endless-body": Fault(
        "announces a 2 GB description and sends it (rate=bytes/s)", "DESCRIBE", endless_body
    ),
    "http-junk": Fault("answers like a web server", "ANY", http_junk),
    "binary-junk": Fault("answers with bytes of no protocol and goes silent", "ANY", binary_junk),
    "401": Fault("refuses every credential", "DESCRIBE", status(401, "Unauthorized")),
    "403": Fault("forbids DESCRIBE", "DESCRIBE", status(403, "Forbidden")),
    "404": Fault("knows no such stream", "DESCRIBE", status(404, "Not Found")),
    "453": Fault(
        "has no bandwidth left at SETUP (too many viewers)", "SETUP", status(453, "Not Enough Bandwidth")
    ),
    "461": Fault("speaks no transport that the client offers", "SETUP", status(461, "Unsupported Transport")),
    "500": Fault("fails inside", "DESCRIBE", status(500, "Internal Server Error")),
    "503": Fault("is overloaded", "DESCRIBE", status(503, "Service Unavailable")),
    "redirect": Fault("302 to the same clip on the same host", "DESCRIBE", redirect("same")),
    "redirect-host": Fault("302 to another host (to=URL, default localhost)", "DESCRIBE", redirect("other")),
    "redirect-loop": Fault("302 to itself for ever", "DESCRIBE", redirect("loop")),
    "audio-only": Fault("describes and sends audio only", "MEDIA"),
    "nonsense-sdp": Fault("describes itself with text that is no SDP", "MEDIA"),
    "broken-sdp": Fault("describes itself with malformed SDP", "MEDIA"),
    "no-media": Fault("answers PLAY and sends nothing", "MEDIA"),
    "rtcp-only": Fault("answers PLAY and sends sender reports only", "MEDIA"),
    "drip-rtp": Fault("sends RTP at 1 byte/s (rate=bytes/s)", "MEDIA"),
    "garbage-rtp": Fault("sends RTP packets with random payloads", "MEDIA"),
    "non-rtp": Fault("sends bytes that are not interleaved RTP after PLAY (TCP)", "MEDIA"),
    "stall": Fault("stops sending after `after` access units, connection open", "MEDIA"),
    "close": Fault("closes after `after` access units", "MEDIA"),
    "reset": Fault("resets the connection after `after` access units", "MEDIA"),
    "non-rtp-later": Fault("sends bytes that are not RTP after `after` access units (TCP)", "MEDIA"),
    "loss": Fault("loses RTP packets (loss=probability, default 0.05; seed)", "MEDIA"),
    "reorder": Fault("swaps neighbouring RTP packets (loss=probability, default 0.1; seed)", "MEDIA"),
    "duplicate": Fault("sends RTP packets twice (loss=probability, default 0.1; seed)", "MEDIA"),
    "corrupt": Fault("flips bytes in payloads (loss=probability per packet, default 0.1; seed)", "MEDIA"),
    "no-burst": Fault("starts in the middle of a GOP", "MEDIA"),
    "no-keyframe": Fault("never sends a keyframe", "MEDIA"),
    "frozen": Fault("repeats one keyframe for ever", "MEDIA"),
    "size-change": Fault(
        "goes on with another clip after `after` access units (to=clip, default <codec>-small)", "MEDIA"
    ),
    "timestamp-jump": Fault("timestamps jump back by an hour after `after` access units", "MEDIA"),
}

FAULTS: dict[str, str] = {name: fault.text for name, fault in FAULT_TABLE.items()}
"""Every fault by name with one line on what it does."""

MEDIA_FAULTS = tuple(name for name, fault in FAULT_TABLE.items() if fault.phase == "MEDIA")
