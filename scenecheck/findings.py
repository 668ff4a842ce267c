"""What changed about a feed, and what becomes of its reference view. Values in, values out: no clock.

A finding lives until something ends it, not until a run cannot see it: an interior ends by a proven
street alone, a moved view by the old view or by a person's acceptance. In between the feed may be dead,
dark or doubtful; the finding stays.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from scenecheck.records import Finding, FindingKind, Memory, Reference, Result
from scenecheck.types import Condition, Label
from scenecheck.view import merge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scenecheck.view import Comparison, View

PROOF_AFTER = timedelta(hours=1)
"""Between the glance that proposes a reference and the one that proves it. A wrong verdict rests on what
stood before the lens, on light or weather: minutes later it would only be the same mistake again."""
REFERENCE_FRAMES = 120
"""Frames merged into a reference, then it stands: by merging on, it would follow a camera that sags."""

_COVERING = {
    Condition.DARK: "the picture is dark: lens covered, or neither light nor infrared",
    Condition.BRIGHT: "the picture is washed out: lens or exposure",
    Condition.FLAT: "the picture shows nothing: lens covered, or no signal behind the encoder",
    Condition.BLURRED: "the picture is blurred: lens dirty, wet or out of focus",
}
_NO_WITNESS = frozenset({Condition.FROZEN, Condition.STALE, Condition.DAMAGED})


def findings(result: Result, memory: Memory) -> tuple[Finding, ...]:
    """What a person should know of a feed after this result; at most one of each group, gravest first.

    ``memory`` is the last result of another run, with its findings, and the reference compared with.
    """
    found = [*_indoor(result, memory), *_moved(result, memory), *_sight(result, memory)]
    order = list(FindingKind)
    return tuple(sorted(found, key=lambda f: order.index(f.kind)))


def admissible(comparison: Comparison | None, reference: Reference | None) -> Comparison | None:
    """What of a comparison `scenecheck.view.with_reference` may use: a reference that only one glance
    proposed may make a verdict stricter, never more lenient."""
    if comparison is None or reference is None or (comparison.same and not reference.is_trusted):
        return None
    return comparison


def next_reference(result: Result, view: View | None, memory: Memory, *, run: int) -> Reference | None:
    """The reference as this result leaves it, or None when it changes nothing.

    Only frames that prove by themselves what is expected there count, and none that froze or broke. The
    first such view is proposed; the same view again in another run, `PROOF_AFTER` later, proves it; then
    it is refined by more light and weather up to `REFERENCE_FRAMES`. A moved view changes nothing: only
    a person can accept it.
    """
    is_proof = result.label is result.label_alone is result.expect
    if view is None or not is_proof or result.error is not None or _NO_WITNESS & result.conditions.keys():
        return None
    kept, at = memory.reference, result.finished_at
    if kept is None:
        return Reference(result.feed, result.expect, view, at, created_run=run)
    comparison = result.comparison
    if comparison is None or not comparison.same or kept.label is not result.expect:
        return None
    changed = kept
    if kept.view.n_frames < REFERENCE_FRAMES:
        changed = replace(kept, view=_merged(kept.view, view))
    is_another = run != kept.created_run and at - kept.created_at >= PROOF_AFTER
    if not kept.is_trusted and is_another:
        changed = replace(changed, proven_at=at, proven_run=run)
    is_unchanged = changed.view is kept.view and changed.proven_at == kept.proven_at
    return None if is_unchanged else changed


def how_far(comparison: Comparison) -> str | None:
    """How far a view moved, as words; None where it cannot be said."""
    if comparison.shift_x is None or comparison.shift_y is None:
        return None
    parts = []
    if abs(comparison.shift_x) >= 0.01:
        side = "right" if comparison.shift_x > 0 else "left"
        parts.append(f"{abs(comparison.shift_x):.0%} of the width to the {side}")
    if abs(comparison.shift_y) >= 0.01:
        parts.append(
            f"{abs(comparison.shift_y):.0%} of the height {'down' if comparison.shift_y > 0 else 'up'}"
        )
    if comparison.rotation_deg:
        turn = "clockwise" if comparison.rotation_deg > 0 else "anticlockwise"
        parts.append(f"turned {abs(comparison.rotation_deg):.0f}° {turn}")
    if comparison.zoom is not None and abs(comparison.zoom - 1) >= 0.05:
        parts.append(f"{comparison.zoom:.2g}× as large")
    return ", ".join(parts) or None


# --- one group each ------------------------------------------------------------------------------


def _indoor(result: Result, memory: Memory) -> Iterator[Finding]:
    if result.expect is Label.INDOOR:
        if result.label is Label.STREET:
            since = _since("unexpected", result, memory)
            detail = f"shows a street where an interior is expected: {result.reason}"
            yield Finding(FindingKind.UNEXPECTED, since, detail)
        return
    earlier = _open("indoor", memory)
    if result.label is Label.INDOOR:
        kind = FindingKind.NEWLY_INDOOR if earlier is None else FindingKind.STILL_INDOOR
        since = result.finished_at if earlier is None else earlier.since
        yield Finding(kind, since, f"shows an interior: {result.reason}")
    elif earlier is None:
        return
    elif result.label is Label.STREET:
        detail = f"shows the street again, after an interior since {_day(earlier.since)}: {result.reason}"
        yield Finding(FindingKind.RECOVERED, result.finished_at, detail)
    else:
        detail = f"showed an interior, and nothing has proven a street since: {_what(result)}"
        yield Finding(FindingKind.STILL_INDOOR, earlier.since, detail)


def _moved(result: Result, memory: Memory) -> Iterator[Finding]:
    earlier, reference, comparison = _open("moved", memory), memory.reference, result.comparison
    if reference is None:
        return
    if earlier is not None and reference.is_accepted and reference.created_at > earlier.since:
        earlier = None
    if comparison is None or comparison.witness == "none":
        if earlier is not None:
            yield earlier
    elif not comparison.same:
        far = how_far(comparison)
        where = f"what stood in its middle is now {far}" if far else "how far cannot be said"
        whose = "accepted" if reference.is_accepted else "seen"
        detail = (
            f"no longer shows the view {whose} on {_day(reference.created_at)} "
            f"({comparison.score:.1%} the same): {where}"
        )
        yield Finding(FindingKind.MOVED, result.finished_at if earlier is None else earlier.since, detail)


def _sight(result: Result, memory: Memory) -> Iterator[Finding]:
    """What keeps the feed from being judged, the most telling reason only."""
    if result.is_unreachable:
        earlier = _open("unreachable", memory)
        kind = FindingKind.NEWLY_UNREACHABLE if earlier is None else FindingKind.STILL_UNREACHABLE
        yield Finding(kind, result.finished_at if earlier is None else earlier.since, _what(result))
        return
    n_frozen = result.conditions.get(Condition.FROZEN, 0)
    covering = max(_COVERING, key=lambda c: result.conditions.get(c, 0))
    n_covered = result.conditions.get(covering, 0)
    if n_frozen and 2 * n_frozen >= result.n_frames:
        detail = (
            f"the picture stands still in {n_frozen} of {result.n_frames} frames: camera or encoder hangs"
        )
        yield Finding(FindingKind.FROZEN, _since("frozen", result, memory), detail)
    elif n_covered and 2 * n_covered >= result.n_frames:
        detail = f"{_COVERING[covering]} ({n_covered} of {result.n_frames} frames)"
        yield Finding(FindingKind.COVERED, _since("covered", result, memory), detail)
    elif result.label is Label.UNKNOWN:
        yield Finding(FindingKind.UNKNOWN, _since("unknown", result, memory), _what(result))


def _open(group: str, memory: Memory) -> Finding | None:
    """The finding of the group that the last result left open."""
    if memory.previous is None:
        return None
    return next((f for f in memory.previous.findings if f.kind.group == group), None)


def _since(group: str, result: Result, memory: Memory) -> datetime:
    earlier = _open(group, memory)
    return result.finished_at if earlier is None else earlier.since


def _what(result: Result) -> str:
    return result.reason if result.error is None else f"{result.error.message} ({result.error.code})"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _merged(kept: View, view: View) -> View:
    """The reference with one more look; unchanged where a new model's embedding cannot be mixed in."""
    current = view.coarse() if kept.is_coarse else view
    if (kept.model, kept.embedding.size, kept.is_coarse) != (
        current.model,
        current.embedding.size,
        current.is_coarse,
    ):
        return kept
    return merge([kept, current])
