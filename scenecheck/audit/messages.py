"""What supervisor and workers say to each other; the same over a pipe and between machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scenecheck.errors import ModelError, UsageError
    from scenecheck.feeds import Feed
    from scenecheck.records import Reference, Result
    from scenecheck.view import View


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model every worker loads, and on what."""

    path: Path | None = None
    provider: str = "cpu"
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What a worker judges with; two that differ in any of it must not judge one run."""

    name: str
    version: str
    sha256: str
    preprocess_version: int
    provider: str
    precision: str
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A feed to judge, and the view it had. ``feed`` may hold a password: for a worker alone."""

    feed: Feed
    reference: Reference | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a feed: findings and the next reference are the supervisor's business."""

    result: Result
    view: View | None


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and has proven itself."""

    model: ModelIdentity


@dataclass(frozen=True, slots=True)
class Broken:
    """The model cannot be used; nothing may be judged with it."""

    error: ModelError | UsageError


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker's interpreter still runs."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A frame of a feed arrived; ``lag_s`` is how long the worker's frames wait for their scores now."""

    feed: str
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """A feed is judged."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker is gone; what it held is not judged."""

    why: str


Message = Ready | Broken | Beat | Sign | Done | Lost
