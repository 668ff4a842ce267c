"""A real PostgreSQL of our own in a temporary folder, on a free port, ended with the tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import psycopg

if TYPE_CHECKING:
    from collections.abc import Mapping

START_S = 30.0
STOP_S = 10.0
PASSWORD = "c4nary/pa:ss%w@rd"
"""Every character that an address gives a meaning; a test looks for it in every text."""


class NotInstalledError(Exception):
    """The message says what is missing."""


class PostgresServer:
    """PostgreSQL with user ``scenecheck``, listening on 127.0.0.1. Use it in ``with``.

    ``settings`` go on its command line. Starting raises NotInstalledError where its programs are missing.
    Under root, which PostgreSQL refuses, it runs as ``postgres`` or ``nobody``.
    """

    user, password = "scenecheck", PASSWORD

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {"shared_buffers": "32MB", "max_connections": "40", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = itertools.count(1)
        self.port = 0
        self.folder = Path()

    def url(self, *, password: str | None = None, schema: str | None = None) -> str:
        """The address of its database, or of one schema in it."""
        login = f"{self.user}:{quote(self.password if password is None else password, safe='')}"
        options = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql+psycopg://{login}@127.0.0.1:{self.port}/postgres{options}"

    def fresh(self) -> str:
        """The address of a new, empty schema."""
        schema = f"test_{next(self._schemas)}"
        with self.admin() as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return self.url(schema=schema)

    def admin(self) -> psycopg.Connection[Any]:
        """A connection of its own, each statement at once."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def __enter__(self) -> Self:
        initdb = _program("initdb")
        # Short and open to the other user: socket names end at 107 characters, pytest's folders are 0700.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        secret = self.folder / "secret"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self.folder, secret):
                os.chown(path, _account().pw_uid, _account().pw_gid)
        make = [initdb, "--pgdata", str(self.folder / "data"), "--username", self.user]
        make += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        try:
            subprocess.run(make, check=True, capture_output=True, timeout=60, **self._as_user())
            self.port = _free_port()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start, also after `kill`, and wait until it answers."""
        command = [_program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", str(self.folder)]
        command += [f"--{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user())
        ends = time.monotonic() + START_S
        while True:
            try:
                self.admin().close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > ends:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"PostgreSQL does not answer ({error}): {said}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it at once, in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """`kill -9` of the server and all its processes at once, as by a machine that goes down."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(STOP_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and all its processes."""
        assert self._process is not None
        pid = self._process.pid
        # Each has a process group of its own.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

    def _as_user(self) -> dict[str, Any]:
        common: dict[str, Any] = {"cwd": self.folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if os.geteuid() != 0:
            return common
        return {**common, "user": _account().pw_uid, "group": _account().pw_gid, "extra_groups": ()}


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotInstalledError("PostgreSQL refuses to run as root, and there is no user to run it as")


def _program(name: str) -> str:
    # Debian keeps the server's programs out of the PATH.
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    if not found:
        raise NotInstalledError(f"no {name} of PostgreSQL; apt-get install postgresql")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
