"""Cameras behind http(s): a snapshot, MJPEG, an HLS playlist or a film, told apart by what comes.

All bytes come through `Web`; FFmpeg demultiplexes them and opens no connection of its own, so neither a
playlist nor a redirect can lead it anywhere.
"""

from __future__ import annotations

import email.utils
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from scenecheck.decode import StreamDecoder
from scenecheck.errors import ContentError, RefusedError, ScenecheckError, SourceError, StreamError
from scenecheck.pictures import kind_of
from scenecheck.source.base import Stopped
from scenecheck.source.ffmpeg import FILM_OPTIONS, opened, video_stream
from scenecheck.source.files import film, still
from scenecheck.source.rtsp import resolve
from scenecheck.source.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scenecheck.redact import Address
    from scenecheck.source.base import SourceOptions, Watch
    from scenecheck.types import Frame

SNAPSHOT_EVERY_S = 1.0
"""Between two requests for a snapshot: as often as most cameras renew theirs."""

SAME_SNAPSHOTS = 3
"""Identical answers in a row after which a snapshot counts as one still picture."""

STALE_AFTER_S = 300.0
"""A snapshot older than this by its own Last-Modified says nothing about what the camera sees now."""


@dataclass(slots=True)
class HttpReader:
    """Frames of an ``http://`` or ``https://`` address."""

    address: Address
    options: SourceOptions

    @property
    def name(self) -> str:
        return str(self.address)

    def frames(self, watch: Watch) -> Iterator[Frame]:
        resolve(self.address, self.address.port or (443 if self.address.scheme == "https" else 80))
        watch.enter("open")
        with Web(self.address, self.options, watch) as web:
            with web.stream() as response:
                chunks = web.chunks(response)
                head = b""
                while len(head) < 16 and (chunk := next(chunks, None)) is not None:
                    head += chunk
                mime = response.headers.get("content-type", "").lower()
                if not head:
                    raise ContentError("empty", f"{self.name}: 0 bytes")
                if mime.startswith("multipart/"):
                    yield from self._stream(_Pipe(head, chunks), watch, container_format="mpjpeg")
                    return
                if head.startswith(b"#EXTM3U"):
                    kind = "playlist"
                elif kind_of(head):
                    kind, data = "snapshot", web.body(response, chunks, head)
                    is_stale = _is_stale(response)
                elif mime.startswith(("text/", "image/")):
                    raise ContentError(
                        "not-a-picture", f"{self.name}: it answers with {mime[:40]}, and that is no picture"
                    )
                elif response.headers.get("content-length", "").isdigit():
                    kind, data = "film", web.body(response, chunks, head)
                else:
                    yield from self._stream(_Pipe(head, chunks), watch)
                    return
            if kind == "playlist":
                yield from self._playlist(web, watch)
            elif kind == "snapshot":
                yield from self._snapshots(web, data, is_stale, watch)
            else:
                yield from film(io.BytesIO(data), self.name, options=self.options, watch=watch)

    def _snapshots(self, web: Web, data: bytes, is_stale: bool, watch: Watch) -> Iterator[Frame]:
        watch.enter("first-frame")
        started_s = watch.clock()
        yield still(data, self.name, at_s=0.0, watch=watch, is_stale=is_stale)
        n_same = 0
        while n_same < SAME_SNAPSHOTS:
            watch.sleep(SNAPSHOT_EVERY_S)
            with web.stream() as response:
                fresh = web.body(response)
                is_stale = _is_stale(response)
            watch.beat()
            if fresh == data:
                n_same += 1
                continue
            data, n_same = fresh, 0
            yield still(data, self.name, at_s=watch.clock() - started_s, watch=watch, is_stale=is_stale)

    def _stream(self, pipe: _Pipe, watch: Watch, container_format: str | None = None) -> Iterator[Frame]:
        """A stream without end, read as it comes."""
        with opened(pipe, self.name, watch, format=container_format, options=FILM_OPTIONS) as container:
            yield from self._decode(container, watch)
            if pipe.error is not None:
                raise pipe.error
        raise StreamError("stream-ended", f"{self.name}: the device closed the stream")

    def _playlist(self, web: Web, watch: Watch) -> Iterator[Frame]:
        fetcher = _Fetcher(web, self.name)
        watch.read_s = max(
            watch.read_s, self.options.deadline_s
        )  # segments come in bursts, many seconds apart
        try:
            with opened(
                self.address.url(with_credentials=False),
                self.name,
                watch,
                format="hls",
                io_open=fetcher,
                options={
                    "protocol_whitelist": "http,https,tcp,tls",
                    "http_persistent": "0",  # both assume FFmpeg's own http underneath,
                    "http_multiple": "0",  # and abort the process without it
                    "live_start_index": "-1",
                },
            ) as container:
                yield from self._decode(container, watch, fetcher)
        except SourceError as e:
            if fetcher.error is None and e.code == "protocol-error":
                e = RefusedError(
                    "playlist-blocked", f"{self.name}: the playlist names what may not or cannot be opened"
                )
            raise (fetcher.error or e) from None
        if fetcher.error is not None:
            raise fetcher.error

    def _decode(self, container: Any, watch: Watch, fetcher: _Fetcher | None = None) -> Iterator[Frame]:
        stream = video_stream(container, self.name)
        watch.enter("first-frame")
        # MJPEG over HTTP carries no times; FFmpeg counts 25 pictures a second whatever comes.
        by_arrival = container.format.name == "mpjpeg"
        decoder = StreamDecoder(
            stream, every_s=self.options.every_s, by_arrival=by_arrival, clock=watch.clock
        )
        for packet in container.demux(stream):
            watch.beat()
            if fetcher is not None and fetcher.is_blocked:
                return
            yield from decoder.feed(packet) if packet.size else decoder.end()
            watch.n_damaged = decoder.n_damaged


class _Pipe:
    """A body as the file object that PyAV reads; it cannot seek. Errors end it and are kept."""

    def __init__(self, head: bytes, chunks: Iterator[bytes]) -> None:
        self._rest, self._chunks = head, chunks
        self.error: ScenecheckError | None = None

    def read(self, n: int) -> bytes:
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except ScenecheckError as e:
                self.error, chunk = e, None
            if chunk is None:
                return b""
            self._rest = chunk
        data, self._rest = self._rest[:n], self._rest[n:]
        return data


class _Fetcher:
    """Opens what a playlist names, for FFmpeg. An exception would be lost in C: errors are kept instead."""

    def __init__(self, web: Web, name: str) -> None:
        self._web, self._name = web, name
        self.error: SourceError | None = None
        self.is_blocked = False

    def __call__(self, url: str, _flags: int, _options: dict[str, str]) -> io.BytesIO:
        if self.is_blocked:
            return io.BytesIO()
        try:
            target = httpx.URL(url)
            if not self._web.allowed(target):
                where = target.netloc.decode() if target.scheme in {"http", "https"} else f"{target.scheme}:"
                raise RefusedError(
                    "playlist-blocked", f"{self._name}: the playlist leads to another place ({where})"
                )
            with self._web.stream(target) as response:
                data = self._web.body(response)
            self.error = None
            return io.BytesIO(data)
        except SourceError as e:
            self.error = e
            self.is_blocked = isinstance(e, RefusedError) and e.code in {"playlist-blocked", "redirected"}
        except httpx.InvalidURL:
            self.error = RefusedError(
                "playlist-blocked", f"{self._name}: the playlist names an invalid address"
            )
            self.is_blocked = True
        except Stopped:
            self.is_blocked = True
        return io.BytesIO()


def _is_stale(response: httpx.Response) -> bool:
    """Whether the server itself says that the picture is old, by its own clock."""
    try:
        made = email.utils.parsedate_to_datetime(response.headers["last-modified"])
        now = email.utils.parsedate_to_datetime(response.headers["date"])
        return (now - made).total_seconds() > STALE_AFTER_S
    except (KeyError, ValueError, TypeError):
        return False
