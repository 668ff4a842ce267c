"""Starts and ends ``gst.py`` under the system's Python, where Debian's bindings live."""

from __future__ import annotations

import json
import selectors
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from tests.servers.gst import NOT_INSTALLED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

PACKAGES = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good glib-networking"
SYSTEM_PYTHON = Path("/usr/bin/python3")
START_S = 20.0
STOP_S = 5.0


class NotInstalledError(Exception):
    """The message says what is missing."""


class GstServer:
    """gst-rtsp-server with ``clips`` by name: plain, digest and TLS servers. Use it in ``with``.

    ``certificate`` is a PEM file of certificate and key. Names that begin with ``hevc`` are H.265.
    Starting raises NotInstalledError where Debian's packages are missing.
    """

    user, password = "viewer", "secret"

    def __init__(self, clips: Mapping[str, Path], certificate: Path) -> None:
        self._arguments = [f"{name}={path}" for name, path in clips.items()]
        self._arguments += ["--certificate", str(certificate)]
        self._process: subprocess.Popen[str] | None = None
        self._ports: dict[str, int] = {}

    def url(self, clip: str = "h264", kind: str = "plain", *, user: str = "", password: str = "") -> str:
        """The URL of ``clip``; ``kind`` is plain, digest or tls."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"{'rtsps' if kind == 'tls' else 'rtsp'}://{login}127.0.0.1:{self._ports[kind]}/{clip}"

    def __enter__(self) -> Self:
        if not SYSTEM_PYTHON.exists():
            raise NotInstalledError(f"no {SYSTEM_PYTHON}; apt-get install {PACKAGES}")
        # -I: this folder's http.py must not stand in for the standard library's.
        command = [str(SYSTEM_PYTHON), "-I", str(Path(__file__).with_name("gst.py")), *self._arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            self._ports = json.loads(self._first_line())
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let the process end; kill it if it has not within STOP_S."""
        if process := self._process:
            self._process = None
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

    def _first_line(self) -> str:
        assert self._process
        assert self._process.stdout
        assert self._process.stderr
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(START_S):
                raise TimeoutError(f"gst.py said nothing within {START_S} s")
        line = self._process.stdout.readline()
        if not line:
            status, reason = self._process.wait(STOP_S), self._process.stderr.read().strip()
            if status == NOT_INSTALLED:
                raise NotInstalledError(f"{reason}; apt-get install {PACKAGES}")
            raise RuntimeError(f"gst.py ended with {status}: {reason}")
        return line
