"""A TCP (or TLS) server in a background thread with its own event loop that always stops in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

log = logging.getLogger("tests.servers")

STOP_S = 5.0
"""How long a server may take to start or to stop before that is an error."""


class ServerThread:
    """Accepts connections on 127.0.0.1 and serves each in its own task; use it in ``with``.

    ``tls`` makes every connection TLS. A ``mute`` server accepts and never says a word, so it is
    silent on any scheme, before a TLS handshake too.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0, mute: bool = False
    ) -> None:
        self.tls, self.host, self.mute = tls, host, mute
        self._socket = socket.create_server((host, port), backlog=1024)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{type(self).__name__}:{self.port}", daemon=True
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client; the connection is aborted when this returns."""
        raise NotImplementedError

    def start(self) -> Self:
        self._thread.start()
        if not self._ready.wait(STOP_S):
            raise RuntimeError(f"{self._thread.name} did not start within {STOP_S} s")
        return self

    def stop(self) -> None:
        """End every connection and the thread. Raises RuntimeError if that takes longer than STOP_S."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_S)
            if self._thread.is_alive():
                raise RuntimeError(f"{self._thread.name} did not stop within {STOP_S} s")
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = 5.0) -> Any:
        """The first true value of ``condition()``. Raises TimeoutError after ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"{self._thread.name}: the condition did not come true in {timeout_s} s")
            time.sleep(0.005)
        return value

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        accepting = asyncio.create_task(self._accept(tasks))
        self._ready.set()
        await self._stop.wait()
        accepting.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.wait([accepting, *tasks], timeout=STOP_S / 2)

    async def _accept(self, tasks: set[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._socket)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._connection(client))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _connection(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.closing(client):
            if self.mute:
                client.setblocking(False)
                while await loop.sock_recv(client, 1 << 16):
                    pass
                return
            reader = asyncio.StreamReader(limit=1 << 17)
            protocol = asyncio.StreamReaderProtocol(reader)
            try:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol, client, ssl=self.tls, ssl_handshake_timeout=10 if self.tls else None
                )
            except (OSError, asyncio.CancelledError):  # a client that refuses our certificate: its right
                return
            # Drained then means sent, so that ending a connection cuts nothing off.
            # (High 0 makes asyncio's TLS of Python 3.11 forget what it paused.)
            transport.set_write_buffer_limits(high=1, low=0)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                await self.serve(reader, writer)
            except (OSError, EOFError, asyncio.LimitOverrunError):
                pass  # the client went away or sent too much: it ends here either way
            except Exception:
                log.exception("%s: a connection failed", self._thread.name)
            finally:
                transport.abort()


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def until_it_leaves(reader: asyncio.StreamReader) -> None:
    """Return when the client has closed its side; what it still says is thrown away."""
    while await reader.read(1 << 16):
        pass
