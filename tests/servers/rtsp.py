"""An RTSP server of our own: real media, real authentication and TLS, and every fault on request.

In tests it is a fixture (``rtsp_server``); by hand: ``python -m tests.servers.rtsp CLIP...``.
What a stream does is asked for in its URL, ``rtsp://127.0.0.1:PORT/<clip>?name=value&...``:

=================  =====================================================================
``fault``          one of ``FAULTS``; ``phase``, ``after``, ``rate``, ``loss``, ``seed`` tune it
``auth``           basic, digest, digest-qop, digest-stale, both (default: the server's)
``parameter_sets`` both, sdp, inband, per-slice
``speed``          times real time; 0: as fast as the client reads
``loops``          end with RTCP BYE after so many rounds (default: never)
``audio``          1: an audio track beside the video, before it in the description
=================  =====================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from tests.servers import rtp
from tests.servers.records import ClipStore, Connection, Request
from tests.servers.rtsp_dialogue import Dialogue
from tests.servers.rtsp_faults import FAULTS, MEDIA_FAULTS
from tests.servers.serving import ServerThread

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from tests.servers.auth import Credentials

__all__ = ["FAULTS", "MEDIA_FAULTS", "Connection", "Request", "RtspServer"]


class RtspServer(ServerThread):
    """Serves ``clips`` by name. ``users`` may change at any time; ``default`` is a query for every URL."""

    def __init__(
        self,
        clips: ClipStore,
        *,
        users: Mapping[str, str] | None = None,
        auth: str = "",
        default: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        mute: bool = False,
    ) -> None:
        super().__init__(tls=tls, host=host, port=port, mute=mute)
        self.clips, self.auth, self.default = clips, auth, default
        self.users: dict[str, str] = dict(users or {"viewer": "secret"})
        self.connections: list[Connection] = []
        self._media: dict[tuple[str, str], rtp.Media] = {}
        self.udp = _udp_pair(host)

    @property
    def requests(self) -> list[Request]:
        return [request for connection in self.connections for request in connection.requests]

    @property
    def credentials(self) -> list[Credentials]:
        """Every credential received, in order, by all connections."""
        return [one for connection in self.connections for one in connection.credentials]

    @property
    def scheme(self) -> str:
        return "rtsps" if self.tls else "rtsp"

    def url(
        self, clip: str = "h264", fault: str = "", *, user: str = "", password: str = "", **query: object
    ) -> str:
        """The URL of ``clip`` with that ``fault`` and further parameters."""
        if fault and fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        text = urlencode(({"fault": fault} if fault else {}) | query)
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
        return f"{self.scheme}://{login}{self.host}:{self.port}/{clip}" + (f"?{text}" if text else "")

    @contextlib.contextmanager
    def clean(self) -> Iterator[None]:
        """Nothing seen yet, and users, auth and default as before once the block is left."""
        before = dict(self.users), self.auth, self.default
        self.connections = []
        try:
            yield
        finally:
            self.users, self.auth, self.default = before

    def media(self, clip: str, parameter_sets: str = "both") -> rtp.Media:
        """The clip as RTP payloads, packetised once. Raises KeyError for an unknown clip."""
        key = (clip, parameter_sets)
        if key not in self._media:
            self._media[key] = rtp.load(self.clips[clip], parameter_sets)
        return self._media[key]

    def stop(self) -> None:
        super().stop()
        for one in self.udp:
            one.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Connection(len(self.connections), writer.get_extra_info("peername"), self.tls is not None)
        self.connections.append(seen)
        dialogue = Dialogue(self, reader, writer, seen)
        try:
            await dialogue.run()
        except Exception as error:
            seen.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            for task in dialogue.tasks:
                task.cancel()
            await asyncio.gather(*dialogue.tasks, return_exceptions=True)
            seen.closed_s = time.monotonic()


def _udp_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Two sockets on neighbouring ports, the first even (RFC 3550 §11)."""
    for _ in range(100):
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        first.bind((host, 0))
        port = first.getsockname()[1]
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if port % 2 == 0:
                second.bind((host, port + 1))
                first.setblocking(False)
                second.setblocking(False)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
    raise OSError(f"no pair of free UDP ports on {host}")


if __name__ == "__main__":
    from tests.servers.rtsp_cli import main

    main()
