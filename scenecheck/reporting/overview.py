"""What a report says of a run, read from the store once for all its files."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenecheck.charts import xml_text
from scenecheck.records import FindingKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from scenecheck.records import Acceptance, Finding, Result, Run
    from scenecheck.store import Store

URGENCY = (
    FindingKind.NEWLY_INDOOR,
    FindingKind.STILL_INDOOR,
    FindingKind.MOVED,
    FindingKind.UNEXPECTED,
    FindingKind.COVERED,
    FindingKind.FROZEN,
    FindingKind.NEWLY_UNREACHABLE,
    FindingKind.UNKNOWN,
    FindingKind.STILL_UNREACHABLE,
    FindingKind.RECOVERED,
)
"""What to see to first: what may show a room, then what may hide one, then what shows nothing at all."""

LAST = 30
"""Results of a feed that its history goes back."""

# Beyond what XML forbids: C1 controls, and marks by which a name could reorder the text around it.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Overview:
    """A run with its results, most urgent first, and what came before."""

    run: Run
    results: tuple[Result, ...]
    trails: Mapping[str, tuple[Result, ...]]
    acceptances: Mapping[str, Acceptance]

    @property
    def verdicts(self) -> Counter[str]:
        return Counter(state(r) for r in self.results)

    @property
    def made_at(self) -> datetime:
        """When the last of it was known: the same run gives the same report."""
        return self.run.finished_at or max((r.finished_at for r in self.results), default=self.run.started_at)


def overview(store: Store, run: int) -> Overview:
    """Raises UsageError ``no-such-run``."""
    results = sorted(store.table(run), key=lambda r: (urgency(r), r.feed))
    feeds = [r.feed for r in results]
    trails = store.trails(feeds, last=LAST)
    return Overview(
        run=store.run(run),
        results=tuple(results),
        # A run rendered again later has its own past, not what came after.
        trails={feed: tuple(r for r in trail if r.run <= run) for feed, trail in trails.items()},
        acceptances=store.acceptances(feeds),
    )


def state(result: Result) -> str:
    """The verdict, or ``unreachable`` where not one picture came."""
    return "unreachable" if result.is_unreachable else result.label.value


def by_urgency(result: Result) -> tuple[Finding, ...]:
    return tuple(sorted(result.findings, key=lambda f: URGENCY.index(f.kind)))


def urgency(result: Result) -> int:
    return min((URGENCY.index(f.kind) for f in result.findings), default=len(URGENCY))


def plain(text: str) -> str:
    """Text from anywhere on one line, without characters that are not seen or turn others about."""
    return xml_text(_HIDDEN.sub("\ufffd", text))
