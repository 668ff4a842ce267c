"""What an audit keeps: runs, results, findings, references. Values only; `scenecheck.store` writes them.

Times are aware datetimes in UTC. Nothing here can hold a picture: of what a camera showed there is at
most its mosaic of 16x9 cells, and the edge directions of `scenecheck.view`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from scenecheck.mask import MAX_CELLS, pixelate
from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from scenecheck.errors import ScenecheckError
    from scenecheck.types import Condition
    from scenecheck.view import Comparison, View

MOSAIC_BYTES = MAX_CELLS[0] * MAX_CELLS[1] * 3
HEAT_BYTES = MAX_CELLS[0] * MAX_CELLS[1]
_HEAT_SCALE = 6.0  # log-odds that count as strong, as in the explanations of `scenecheck.mask`


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a run judges, and with what. A run is only resumed by one that has the same.

    ``options`` hold what changes a result (frames, deadline, …), never how fast it comes, never a secret.
    """

    inventory_sha256: str
    model_name: str
    model_version: str
    model_sha256: str
    preprocess_version: int
    options: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. ``owner`` is the auditor that holds it, None when nobody does."""

    id: int
    spec: RunSpec
    started_at: datetime
    finished_at: datetime | None
    owner: str | None
    lease_until: datetime | None
    n_results: int

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None


class FindingKind(StrEnum):
    """What a person should know about a feed. ``group`` is what ``--fail-on`` names."""

    NEWLY_INDOOR = "newly-indoor"
    STILL_INDOOR = "still-indoor"
    RECOVERED = "recovered"
    MOVED = "moved"
    NEWLY_UNREACHABLE = "newly-unreachable"
    STILL_UNREACHABLE = "still-unreachable"
    FROZEN = "frozen"
    COVERED = "covered"
    UNEXPECTED = "unexpected"
    UNKNOWN = "unknown"

    @property
    def group(self) -> str:
        return self.value.removeprefix("newly-").removeprefix("still-")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about a feed: since when it holds, and a sentence for the person who acts on it."""

    kind: FindingKind
    since: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """An error as it is kept: stable code, sentence without secrets, what to try."""

    code: str
    message: str
    try_: str

    @classmethod
    def of(cls, error: ScenecheckError) -> ErrorNote:
        return cls(error.code, error.message, error.try_)


@dataclass(frozen=True, slots=True)
class Mosaic:
    """All of a view that may be kept: ``cells`` ``uint8 [9, 16, 3]`` RGB in C order, and ``heat``
    ``int8 [9, 16]``, 127 where everything speaks for indoor, -127 where it speaks for street."""

    cells: bytes
    heat: bytes

    def __post_init__(self) -> None:
        if (len(self.cells), len(self.heat)) != (MOSAIC_BYTES, HEAT_BYTES):
            raise ValueError(
                f"mosaic: expected {MOSAIC_BYTES} and {HEAT_BYTES} bytes, got {len(self.cells)} and {len(self.heat)}"
            )

    @classmethod
    def of(cls, tile: NDArray[np.uint8], heat: NDArray[np.float32]) -> Mosaic:
        """Of a tile ``uint8 [3, H, W]`` and its heat map ``float32 [h, w]`` in log-odds."""
        rows, columns = MAX_CELLS
        strength = np.tanh(cv2.resize(heat.astype(np.float32), (columns, rows)) / _HEAT_SCALE)
        return cls(pixelate(tile).tobytes(), np.rint(strength * 127).astype(np.int8).tobytes())


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found about one feed.

    ``label_alone`` is what the frames say without the help of a reference view. ``conditions`` count the
    frames of ``n_frames`` that they spoke against. Seconds are from the start of the attempt. ``run`` is 0
    until the store has it. ``address`` is free of secrets.
    """

    feed: str
    expect: Label
    label: Label
    reason: str
    p_indoor: float | None
    finished_at: datetime
    total_s: float
    label_alone: Label = Label.UNKNOWN
    n_frames: int = 0
    conditions: Mapping[Condition, int] = field(default_factory=dict)
    error: ErrorNote | None = None
    comparison: Comparison | None = None
    open_s: float | None = None
    first_frame_s: float | None = None
    mosaic: Mosaic | None = field(default=None, repr=False)
    name: str = ""
    address: str = ""
    tags: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    run: int = 0

    def __post_init__(self) -> None:
        if self.p_indoor is not None and not 0.0 <= self.p_indoor <= 1.0:
            raise ValueError(f"result: expected p_indoor in 0..1, got {self.p_indoor}")
        if self.expect is Label.UNKNOWN:
            raise ValueError("result: expected street or indoor to be expected, got unknown")
        if self.finished_at.tzinfo is None:
            raise ValueError("result: expected an aware time, got a naive one")

    @property
    def is_unreachable(self) -> bool:
        """Not one picture came."""
        return self.error is not None and self.n_frames == 0


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where a feed's camera should look, and who says so.

    *Proposed* by one run, *proven* when a later run found the same view the same, or *accepted* by a
    person. Coarse unless its label is street, so that no outline of an interior is kept.
    """

    feed: str
    label: Label
    view: View
    created_at: datetime
    created_run: int | None = None
    proven_at: datetime | None = None
    proven_run: int | None = None
    who: str | None = None
    why: str | None = None

    def __post_init__(self) -> None:
        if self.label is Label.UNKNOWN:
            raise ValueError("reference: expected street or indoor, got unknown")
        if self.label is not Label.STREET and not self.view.is_coarse:
            object.__setattr__(self, "view", self.view.coarse())

    @property
    def is_accepted(self) -> bool:
        return self.who is not None

    @property
    def is_trusted(self) -> bool:
        """Whether sameness with it may make a verdict more lenient: one glance may have been wrong."""
        return self.is_accepted or self.proven_at is not None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person's word that a view is right; what a reference says of it, without the view."""

    at: datetime
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a feed before it is judged again."""

    previous: Result | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All that was kept of a feed, oldest first."""

    results: tuple[Result, ...]
    references: tuple[Reference, ...]
