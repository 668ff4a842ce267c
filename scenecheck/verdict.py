"""Several judged frames to one verdict: pure, so that check, audit, gate and eval cannot differ.

``street`` must be proven. Frames are combined by the mean of their log-odds, which is what independent
evidence would add up to but for its length: frames of one fixed camera are anything but independent.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from scenecheck.types import Label, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenecheck.types import Sighting, Thresholds

CERTAIN_FRAMES = 2
"""Agreeing frames after which looking on changes nothing: one can be a glitch, the second confirms it."""

_P_FLOOR = 1e-4
"""No single frame may count for more: calibration says nothing about odds beyond 1 : 10,000."""


def combine(p_indoor: Sequence[float]) -> float:
    """Mean of the log-odds of N probabilities, as a probability. Raises ValueError for N = 0."""
    if not p_indoor:
        raise ValueError("combine: expected at least one probability, got none")
    clipped = (min(max(p, _P_FLOOR), 1 - _P_FLOOR) for p in p_indoor)
    mean = math.fsum(math.log(p / (1 - p)) for p in clipped) / len(p_indoor)
    return 1 / (1 + math.exp(-mean))


def judge(sightings: Sequence[Sighting], thresholds: Thresholds) -> Verdict:
    """Say what the frames prove.

    ``street`` needs combined odds at or below ``street_below``, no frame at or above ``indoor_above``,
    and, where frames were unfit as evidence, more fit than unfit ones. ``indoor`` needs combined odds
    at or above ``indoor_above``. All else is ``unknown``, with the reason.
    """
    seen = tuple(sightings)
    evidence = [s.p_indoor for s in seen if s.is_evidence]
    if not evidence:
        return Verdict(Label.UNKNOWN, _no_evidence(seen), None, seen)
    p = combine(evidence)
    n_unfit = len(seen) - len(evidence)
    is_certain = n_unfit == 0 and len(evidence) >= CERTAIN_FRAMES
    frames = _frames(len(evidence))
    if p >= thresholds.indoor_above:
        low = min(evidence)
        reason = (
            f"{frames}, the least indoor one {low:.1%}" if len(evidence) > 1 else f"{frames}, {p:.1%} indoor"
        )
        return Verdict(Label.INDOOR, reason, p, seen, is_certain and low >= thresholds.indoor_above)
    if p > thresholds.street_below:
        reason = f"{frames}, {p:.1%} indoor: between street (≤ {thresholds.street_below:.0%})"
        return Verdict(Label.UNKNOWN, f"{reason} and indoor (≥ {thresholds.indoor_above:.0%})", p, seen)
    high = max(evidence)
    if high >= thresholds.indoor_above:
        return Verdict(
            Label.UNKNOWN, f"{frames} that contradict each other: {min(evidence):.1%} to {high:.1%}", p, seen
        )
    if n_unfit and len(evidence) <= n_unfit:
        return Verdict(
            Label.UNKNOWN,
            f"only {len(evidence)} of {len(seen)} frames fit to judge ({_unfit(seen)})",
            p,
            seen,
        )
    reason = f"{frames}, the most indoor one {high:.1%}" if len(evidence) > 1 else f"{frames}, {p:.1%} indoor"
    return Verdict(Label.STREET, reason, p, seen, is_certain and high <= thresholds.street_below)


def _frames(n: int) -> str:
    return "1 frame" if n == 1 else f"{n} frames"


def _unfit(sightings: Sequence[Sighting]) -> str:
    counts = Counter(c.value for s in sightings for c in s.conditions)
    return ", ".join(
        f"{n} {name}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _no_evidence(sightings: Sequence[Sighting]) -> str:
    if not sightings:
        return "no frame came"
    return f"none of {_frames(len(sightings))} is fit to judge ({_unfit(sightings)})"
