"""Judged examples to figures: pure, no file and no clock."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scenecheck.evaluation import metrics
from scenecheck.evaluation.results import (
    Calibration,
    ConditionFigures,
    Confusion,
    Counts,
    FrameFigures,
    GroupFigures,
    IndoorGroups,
    JudgedGroup,
    ReliabilityBin,
    RocPoint,
    Slice,
    StreetGroups,
    WorstError,
)
from scenecheck.types import Label
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenecheck.evaluation.manifest import Example
    from scenecheck.evaluation.metrics import Floats, Groups, Ints
    from scenecheck.evaluation.results import Judged
    from scenecheck.types import Sighting, Thresholds

ROC_UP_TO = 0.05
"""Beyond this rate of false alarms nobody would run the product."""

MAX_WORST = 20

NO_CONDITION = "none"


class JudgedFrame(NamedTuple):
    """One frame of an example and what it alone is called."""

    example: Example
    sighting: Sighting
    called: Label


class Arrays(NamedTuple):
    """Frames as parallel arrays: score, label (0 street, 1 indoor) and group."""

    p: Floats
    y: Ints
    groups: Groups


def frames_of(examples: Sequence[Judged], thresholds: Thresholds) -> list[JudgedFrame]:
    """Every sampled frame, each called by the product's rule as if it were alone."""
    return [
        JudgedFrame(judged.example, sighting, judge([sighting], thresholds).label)
        for judged in examples
        for sighting in judged.sightings
    ]


def arrays_of(frames: Sequence[JudgedFrame]) -> Arrays:
    """The frames' scores, labels and groups."""
    return Arrays(
        np.array([f.sighting.p_indoor for f in frames], np.float64),
        np.array([int(f.example.label is Label.INDOOR) for f in frames], np.int64),
        np.array([f.example.group for f in frames], np.str_),
    )


def judged_groups(examples: Sequence[Judged], thresholds: Thresholds) -> tuple[JudgedGroup, ...]:
    """Each group's verdict over the frames that its examples' own verdicts rest on.

    Pictures of a room and of the front of its house may share a group; they are judged apart.
    """
    by_group: dict[tuple[str, Label], list[Sighting]] = defaultdict(list)
    for judged in examples:
        by_group[judged.example.group, judged.example.label].extend(judged.verdict.sightings)
    return tuple(
        JudgedGroup(name, label, judge(sightings, thresholds))
        for (name, label), sightings in sorted(by_group.items())
    )


def counts(
    examples: Sequence[Judged], frames: Sequence[JudgedFrame], groups: Sequence[JudgedGroup]
) -> Counts:
    """How much was judged."""
    return Counts(
        frames=len(frames),
        groups=len(groups),
        examples=len(examples),
        indoor_frames=sum(f.example.label is Label.INDOOR for f in frames),
        indoor_groups=sum(g.label is Label.INDOOR for g in groups),
    )


def frame_figures(frames: Arrays) -> tuple[FrameFigures, Calibration]:
    """Ranking and calibration of single frames, with intervals by groups."""
    p, y, groups = frames
    ranking = metrics.Ranking(p, y)
    found = metrics.FrameIntervals.drawn(ranking, p, y, groups)
    ranked = FrameFigures(
        auroc=round(ranking.auroc(), 4),
        auroc_ci=found.auroc,
        recall_at_fpr={str(f): round(ranking.recall_at_fpr(f), 4) for f in metrics.FPRS},
        recall_at_fpr_ci={str(f): ci for f, ci in found.recall_at_fpr.items()},
        roc=[RocPoint(**point._asdict()) for point in ranking.roc(ROC_UP_TO)],
    )
    bins = [
        ReliabilityBin(**{k: round(v, 4) for k, v in b._asdict().items()}) for b in metrics.reliability(p, y)
    ]
    return ranked, Calibration(ece=round(metrics.ece(p, y), 4), ece_ci=found.ece, bins=bins)


def group_figures(groups: Sequence[JudgedGroup]) -> GroupFigures:
    """Rooms missed, streets flagged, both unknown, each with what the numbers prove."""
    n, wrong, unknown = {}, {}, {}
    for label in (Label.STREET, Label.INDOOR):
        of_label = [g for g in groups if g.label is label]
        n[label] = len(of_label)
        unknown[label] = [g.name for g in of_label if g.verdict.label is Label.UNKNOWN]
        wrong[label] = [g.name for g in of_label if g.verdict.label not in {label, Label.UNKNOWN}]
    rooms, streets = Label.INDOOR, Label.STREET
    return GroupFigures(
        indoor=IndoorGroups(
            n=n[rooms],
            missed=wrong[rooms],
            unknown=unknown[rooms],
            missed_ci=metrics.wilson(len(wrong[rooms]), n[rooms]),
            missed_at_most=round(metrics.at_most(len(wrong[rooms]), n[rooms]), 4),
        ),
        street=StreetGroups(
            n=n[streets],
            flagged=wrong[streets],
            unknown=unknown[streets],
            flagged_ci=metrics.wilson(len(wrong[streets]), n[streets]),
            flagged_at_most=round(metrics.at_most(len(wrong[streets]), n[streets]), 4),
        ),
        unknown_share=round(sum(map(len, unknown.values())) / len(groups), 4),
    )


def slices(frames: Sequence[JudgedFrame], groups: Sequence[JudgedGroup]) -> dict[str, Slice]:
    """Figures for every slice, by name."""
    members: dict[str, list[JudgedFrame]] = defaultdict(list)
    for frame in frames:
        for name in frame.example.slices:
            members[name].append(frame)
    verdicts = {(g.name, g.label): g.verdict.label for g in groups}
    return {name: _slice(members[name], verdicts) for name in sorted(members)}


def _slice(frames: Sequence[JudgedFrame], verdicts: dict[tuple[str, Label], Label]) -> Slice:
    p, y, _ = arrays_of(frames)
    n = len(frames)
    n_right = sum(f.called is f.example.label for f in frames)
    n_unknown = sum(f.called is Label.UNKNOWN for f in frames)
    cameras = sorted({(f.example.group, f.example.label) for f in frames})
    return Slice(
        frames=n,
        groups=len(cameras),
        right=round(n_right / n, 4),
        unknown=round(n_unknown / n, 4),
        wrong=round((n - n_right - n_unknown) / n, 4),
        auroc=round(metrics.auroc(p, y), 4) if 0 < y.sum() < n else None,
        missed=[g for g, label in cameras if label is Label.INDOOR and verdicts[g, label] is Label.STREET],
        flagged=[g for g, label in cameras if label is Label.STREET and verdicts[g, label] is Label.INDOOR],
    )


def condition_figures(frames: Iterable[JudgedFrame]) -> dict[str, ConditionFigures]:
    """What frames were called, by the conditions they were found in; one frame may count under several."""
    table: dict[str, dict[Label, dict[str, int]]] = defaultdict(
        lambda: {label: defaultdict(int) for label in (Label.STREET, Label.INDOOR)}
    )
    for frame in frames:
        for name in sorted(c.value for c in frame.sighting.conditions) or [NO_CONDITION]:
            table[name][frame.example.label][frame.called.value] += 1
    return {
        name: ConditionFigures(
            street=Confusion(**by_label[Label.STREET]), indoor=Confusion(**by_label[Label.INDOOR])
        )
        for name, by_label in sorted(table.items())
    }


def worst_errors(frames: Sequence[JudgedFrame]) -> tuple[WorstError, ...]:
    """Frames on the wrong side of one half, the surest mistake first."""

    def sureness(frame: JudgedFrame) -> float:
        p = frame.sighting.p_indoor
        return p - 0.5 if frame.example.label is Label.STREET else 0.5 - p

    wrong = sorted((f for f in frames if sureness(f) > 0), key=lambda f: (-sureness(f), f.example.path))
    return tuple(
        WorstError(
            path=f.example.path,
            label=f.example.label,
            group=f.example.group,
            p_indoor=round(f.sighting.p_indoor, 6),
            at_s=round(f.sighting.at_s, 3),
        )
        for f in wrong[:MAX_WORST]
    )
