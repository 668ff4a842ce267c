"""What our servers are given, and what they saw, for assertions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers.auth import Credentials


class ClipStore(Protocol):
    """Clips by name; a dict of paths and ``media.Clips`` both are."""

    def __getitem__(self, name: str, /) -> Path: ...


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case."""
    at_s: float
    """Monotonic time of arrival."""


@dataclass
class Connection:
    """What the server saw of one connection, for assertions. Times are monotonic seconds."""

    number: int
    peer: tuple[str, int]
    tls: bool
    opened_s: float = field(default_factory=time.monotonic)
    closed_s: float | None = None
    requests: list[Request] = field(default_factory=list)
    credentials: list[Credentials] = field(default_factory=list)
    transport: str = ""
    n_sent_bytes: int = 0
    n_rtp_packets: int = 0
    n_units: int = 0
    n_dropped_units: int = 0
    n_rtcp_received: int = 0
    error: str = ""

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]
