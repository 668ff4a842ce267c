"""What goes into the gate's decision, what comes out, and its transitions as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from scenecheck.verdict import judge
from scenecheck.view import STRICT_FRAMES, with_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenecheck.types import Condition, Label, Sighting, Thresholds
    from scenecheck.view import Comparison


class State(StrEnum):
    """Where the decision stands. Only ``open`` and ``holding`` are open to viewers."""

    MASKED = "masked"
    PROVING = "proving"
    OPEN = "open"
    HOLDING = "holding"
    REVIEW = "review"


class Signal(StrEnum):
    """What an event means for the state."""

    STREET = "street"
    PROVEN = "proven"
    DOUBT = "doubt"
    BROKEN = "broken"
    CLOSED = "closed"
    FLAPPING = "flapping"
    RELEASED = "released"


_M, _P, _O, _H, _R = State.MASKED, State.PROVING, State.OPEN, State.HOLDING, State.REVIEW
TRANSITIONS: Mapping[tuple[State, Signal], State] = MappingProxyType(
    {
        (_M, Signal.STREET): _P,
        (_P, Signal.PROVEN): _O,
        (_P, Signal.DOUBT): _M,
        (_P, Signal.BROKEN): _M,
        (_P, Signal.CLOSED): _M,
        (_O, Signal.DOUBT): _H,
        (_O, Signal.BROKEN): _H,
        (_O, Signal.CLOSED): _M,
        (_O, Signal.FLAPPING): _R,
        (_H, Signal.STREET): _O,
        (_H, Signal.CLOSED): _M,
        (_H, Signal.FLAPPING): _R,
        (_R, Signal.RELEASED): _M,
    }
)
"""Every change of state; a signal without a line changes nothing."""


class Flaw(StrEnum):
    """What breaks the bracket around one unit of the stream."""

    DAMAGED = "damaged"
    MISSING = "missing"
    LATE = "late"


class Fault(StrEnum):
    """What masks at once, whatever the picture shows."""

    SOURCE_LOST = "source-lost"
    NEW_SIZE = "new-size"
    NEW_CODEC = "new-codec"
    STALE = "stale"
    NO_KEYFRAME = "no-keyframe"
    MODEL_FAILED = "model-failed"
    CLOCK_JUMPED = "clock-jumped"
    DISK_FULL = "disk-full"
    OUTPUT_FAILED = "output-failed"
    WORKER_RESTARTED = "worker-restarted"
    RELOADED = "reloaded"


class Reason(StrEnum):
    """Why a feed is as it is: the faults by their names, and what the decision finds itself."""

    STREET = "street"
    STARTING = "starting"
    INDOOR = "indoor"
    UNDECIDED = "undecided"
    MOVED = "moved"
    LATE = "late"
    LEASE = "lease"
    FORCED = "forced"
    REVIEW = "needs-review"
    SOURCE_LOST = "source-lost"
    NEW_SIZE = "new-size"
    NEW_CODEC = "new-codec"
    STALE = "stale"
    NO_KEYFRAME = "no-keyframe"
    MODEL_FAILED = "model-failed"
    CLOCK_JUMPED = "clock-jumped"
    DISK_FULL = "disk-full"
    OUTPUT_FAILED = "output-failed"
    WORKER_RESTARTED = "worker-restarted"
    RELOADED = "reloaded"


class Sameness(StrEnum):
    """What the second witness says: against a trusted reference, the same; moved; or it cannot say."""

    SAME = "same"
    MOVED = "moved"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Unit:
    """One access unit of the source, in the order of decoding.

    ``seq`` counts up by one for as long as the gate runs, over reconnections too; a number left out is a
    unit that is missing. ``starts_group`` marks an IDR at which an output may begin; it must be judged.
    ``is_suspect``: something cheap says that the picture may have changed here.
    """

    seq: int
    starts_group: bool = False
    is_suspect: bool = False
    flaw: Flaw | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One unit judged alone; made by `sample`."""

    seq: int
    label: Label
    sameness: Sameness = Sameness.UNSEEN
    conditions: frozenset[Condition] = frozenset()


@dataclass(frozen=True, slots=True)
class Force:
    """A person masks the feed until ``until_s``."""

    who: str
    why: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Trust:
    """A person vouches for what the classifier doubts, until ``until_s``; never for a bracket that broke."""

    who: str
    why: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Lift:
    """A person ends both overrides."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Release:
    """A person has looked at a feed that flapped; it may prove itself again."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Only time has passed. At least once a second."""


Event = Unit | Sample | Fault | Force | Trust | Lift | Release | Tick


@dataclass(frozen=True, slots=True)
class Rule:
    """Street samples in a row, and the seconds that they must span, before a masked feed re-opens."""

    n: int
    over_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of one feed. ``lease_s`` must exceed the time between judged samples."""

    lease_s: float = 3.0
    hold_s: float = 6.0
    """No progress for so long masks: two groups of 2 s and one that could not be judged."""
    same: Rule = Rule(2, 1.0)
    unseen: Rule = Rule(3, 3.0)
    moved: Rule = Rule(STRICT_FRAMES + 1, 10.0)
    flaps: int = 5
    """Maskings for what the picture shows within ``flap_window_s`` from which a person must look."""
    flap_window_s: float = 600.0

    def __post_init__(self) -> None:
        rules = (self.same, self.unseen, self.moved)
        if not 0 < self.lease_s <= 30 or not 0 < self.hold_s <= 60 or self.flaps < 1:
            raise ValueError("policy: expected 0 < lease_s <= 30, 0 < hold_s <= 60, flaps >= 1")
        if rules[0].n < 1 or any(a.n > b.n or a.over_s > b.over_s for a, b in pairwise(rules)):
            raise ValueError(
                "policy: expected 1 <= same <= unseen <= moved, each rule stricter than the last"
            )


@dataclass(frozen=True, slots=True)
class Decision:
    """What holds now. ``is_open`` ends by itself at ``lease_until_s``.

    ``release`` are the first and last ``seq`` that may leave now (once), ``settled`` the last one that
    may be forgotten: it left or never will. ``judge_from``: judge every unit from this one on.
    """

    is_open: bool
    state: State
    reason: Reason
    since_s: float
    lease_until_s: float | None
    release: tuple[int, int] | None
    settled: int
    judge_from: int | None


def sample(seq: int, sighting: Sighting, comparison: Comparison | None, *, thresholds: Thresholds) -> Sample:
    """Judge one unit alone, with the reference's help where it has one.

    ``comparison`` as `scenecheck.findings.admissible` lets it through. In a moved view the frame must
    meet the stricter odds; how many of them it takes is the re-opening rule's part.
    """
    if comparison is None or comparison.witness == "none":
        return Sample(seq, judge([sighting], thresholds).label, Sameness.UNSEEN, sighting.conditions)
    if comparison.same:
        label = with_reference([sighting], comparison, thresholds=thresholds).label
        return Sample(seq, label, Sameness.SAME, sighting.conditions)
    label = with_reference([sighting] * STRICT_FRAMES, comparison, thresholds=thresholds).label
    return Sample(seq, label, Sameness.MOVED, sighting.conditions)
