"""What an inventory says, as frozen values. Secrets are named here and read only when they are used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote

from scenecheck.errors import UsageError
from scenecheck.redact import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from scenecheck.source import SourceOptions

Expect = Literal["street", "indoor"]
Mask = Literal["card", "pixelate", "blur"]

MAX_SECRET_BYTES = 64 * 1024

SHOWN_ALIKE = 20
"""Problems of one kind that are shown; ten thousand equal lines help nobody."""

SHOWN_ALL = 200


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a password stands: in an environment variable, or on the first line of a file."""

    env: str | None = None
    file: Path | None = None

    def __str__(self) -> str:
        return f"env {self.env}" if self.env else f"file {self.file}"

    def read(self) -> str:
        """The password as it is now. Raises UsageError ``no-secret``, which names only the place."""
        if self.env:
            value = os.environ.get(self.env)
            if not value:
                raise UsageError("no-secret", f"environment variable {self.env}: not set")
            return value
        assert self.file is not None
        try:
            with self.file.open("rb") as file:
                lines = file.read(MAX_SECRET_BYTES).decode("utf-8-sig").splitlines()
        except (OSError, ValueError):
            raise UsageError("no-secret", f"password file {self.file}: cannot be read as text") from None
        if not lines or not lines[0]:
            raise UsageError("no-secret", f"password file {self.file}: its first line is empty")
        return lines[0]


@dataclass(frozen=True, slots=True)
class Publish:
    """Where a feed is shown to the public while its view is proven, and what is shown while it is not.

    ``hls`` is a directory, ``rtsp`` a server's address, ``snapshot`` a JPEG file. Sound is passed on
    only with ``audio``, and never while masked.
    """

    hls: Path | None = None
    rtsp: Address | None = None
    snapshot: Path | None = None
    mask: Mask = "card"
    audio: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """One source of an inventory. ``source`` holds no password; `target` is what a source is opened with.

    ``{user}`` and ``{password}`` in the query of an address stand for the credentials, for cameras that
    take them there. ``line`` is where the feed begins in its file.
    """

    id: str
    source: Address | Path
    name: str = ""
    secret: Secret | None = field(default=None)
    tags: tuple[str, ...] = ()
    expect: Expect = "street"
    publish: Publish | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    deadline_s: float = 15.0
    frames: int = 5
    tls_ca: Path | None = None
    insecure: bool = False
    allow_hosts: tuple[str, ...] = ()
    line: int = 0

    def password(self) -> str | None:
        """The password, read now. Raises UsageError ``no-secret``; its text names only the place."""
        if self.secret is not None:
            return self.secret.read()
        return self.source.password or None if isinstance(self.source, Address) else None

    def target(self) -> Address | Path:
        """What to open, the password in its place: for `open_source`, never for a text.

        Raises UsageError ``no-secret``.
        """
        if not isinstance(self.source, Address):
            return self.source
        return filled(self.source, self.password() or "")

    def options(self) -> SourceOptions:
        """How to open it and how long to wait."""
        from scenecheck.source import SourceOptions  # noqa: PLC0415  (the decoder; a listing needs none)

        return SourceOptions(
            deadline_s=self.deadline_s,
            frames=self.frames,
            transport=self.transport,
            tls_ca=self.tls_ca,
            insecure=self.insecure,
            allow_hosts=frozenset(self.allow_hosts),
        )


def filled(address: Address, password: str) -> Address:
    """The address with its password, also where its query asks for it."""
    query = address.query
    for name, value in (("{user}", address.user), ("{password}", password)):
        query = query.replace(name, quote(value, safe=""))
    return replace(address, password=password, query=query)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what was found and what would be right. Free of secrets."""

    line: int
    feed: str
    field: str
    got: str
    allowed: str

    def __str__(self) -> str:
        parts = [f"feed {self.feed}" if self.feed else "", self.field, f"got {self.got}; {self.allowed}"]
        return ": ".join(p for p in parts if p)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The feeds of a file, in its order, ids unique. ``warnings`` do not keep it from being used."""

    feeds: tuple[Feed, ...]
    path: Path
    warnings: tuple[Problem, ...] = ()


class InventoryError(UsageError):
    """An inventory with mistakes: all of them in ``problems``, the first in the message."""

    advice: ClassVar[dict[str, str]] = {
        "inventory": "correct the lines named; `scenecheck feeds validate FILE` checks them again"
    }

    def __init__(
        self, code: str, message: str, try_: str | None = None, problems: tuple[Problem, ...] = ()
    ) -> None:
        super().__init__(code, message, try_)
        self.problems = problems

    @classmethod
    def of(cls, path: Path, problems: Iterable[Problem]) -> InventoryError:
        found = tuple(sorted(problems, key=lambda p: p.line))
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        return cls("inventory", f"{path}:{found[0].line}: {found[0]}{more}", None, found)


def problem_lines(path: Path, problems: Iterable[Problem]) -> Iterator[str]:
    """One line for each problem, in the file's order; of many alike the first SHOWN_ALIKE and a count."""
    ordered = sorted(problems, key=lambda p: p.line)
    alike: dict[tuple[str, str], int] = {}
    n_shown = 0
    for problem in ordered:
        kind = (problem.field, problem.allowed)
        alike[kind] = alike.get(kind, 0) + 1
        if alike[kind] <= SHOWN_ALIKE and n_shown < SHOWN_ALL:
            n_shown += 1
            yield f"{path}:{problem.line}: {problem}"
    if n_shown < len(ordered):
        yield f"{path}: {len(ordered) - n_shown:,} more mistakes like these"
