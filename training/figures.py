"""What scores say about a net: ranking, verdicts of cameras, slices, curves. Pure functions of arrays.

Frames of one camera are not independent, so intervals draw whole cameras anew (ranking, ECE) or count cameras
(verdicts, Wilson's). Labels are 0 (street) and 1 (indoor); intervals are of 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenecheck.evaluation import metrics
from scenecheck.types import Condition, Label, Sighting, Thresholds
from scenecheck.verdict import judge
from training import calibrate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training import prepare

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

NIGHT = frozenset({"night", "ir"})
COMBINED = {"night or ir": NIGHT, "grey or ir": frozenset({"grey", "ir"})}
"""Slices made of several flags, beside one for each flag."""

MIN_SLICE = 4
"""Frames of a flag below which there is no row: one picture is an anecdote."""

OUT_OF_SCOPE = frozenset({Condition.OUT_OF_SCOPE})


@dataclass(frozen=True)
class Scored:
    """Frames with their calibrated score and the thresholds that hold for each: arrays of length N.

    ``is_novel`` frames are no evidence to the product; they count as frames all the same.
    """

    p: Floats
    label: Ints
    group: NDArray[np.str_]
    flags: NDArray[np.str_]
    street_below: Floats
    indoor_above: Floats
    is_novel: Mask

    @classmethod
    def by(cls, p: Floats, examples: prepare.Examples, t: Thresholds, is_novel: Mask | None = None) -> Scored:
        """Frames of a manifest, all by the same thresholds."""
        n = len(p)
        novel = np.zeros(n, bool) if is_novel is None else is_novel
        return cls(p, examples.label, examples.group, examples.flags, np.full(n, t.street_below),
                   np.full(n, t.indoor_above), novel)  # fmt: skip

    def __len__(self) -> int:
        return len(self.p)

    def take(self, rows: Mask) -> Scored:
        return Scored(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def flagged(self, flags: frozenset[str]) -> Mask:
        """Rows ``bool [N]`` that carry any of the flags."""
        return np.array([not flags.isdisjoint(text.split()) for text in self.flags], bool)


def judged(s: Scored) -> dict[str, Any]:
    """Everything about one set of frames, as JSON."""
    return {
        "n": counts(s),
        "frames": {
            **metrics.frame_figures(s.p, s.label, s.group),
            "ece_ci": list(metrics.ece_interval(s.p, s.label, s.group)),
        },
        "night_or_ir": recall_in(s, s.flagged(NIGHT), 0.01),
        "cameras_wrong_by_median": metrics.cameras_wrong(s.p, s.label, s.group),
        "verdicts": verdicts(s),
        "slices": slices(s),
        **curves(s.p, s.label),
    }


def counts(s: Scored) -> dict[str, int]:
    return {
        "frames": len(s),
        "indoor_frames": int(s.label.sum()),
        "cameras": len(np.unique(s.group)),
        "indoor_cameras": len(np.unique(s.group[s.label == 1])),
    }


def camera_labels(s: Scored) -> dict[str, tuple[int, Label]]:
    """Truth and verdict of every camera, by the product's rule over all its frames."""
    found = {}
    for group in np.unique(s.group):
        rows = np.flatnonzero(s.group == group)
        t = Thresholds(float(s.street_below[rows[0]]), float(s.indoor_above[rows[0]]))
        sightings = [
            Sighting(float(i), float(s.p[r]), OUT_OF_SCOPE if s.is_novel[r] else frozenset())
            for i, r in enumerate(rows)
        ]
        found[str(group)] = (int(s.label[rows[0]]), judge(sightings, t).label)
    return found


def verdicts(s: Scored) -> dict[str, Any]:
    """Cameras wrong and unknown, by name, each share with its interval."""
    said = camera_labels(s)

    def names(truth: int, label: Label) -> list[str]:
        return [g for g, (y, found) in said.items() if y == truth and found is label]

    n = {y: sum(truth == y for truth, _ in said.values()) for y in (0, 1)}
    missed, flagged = names(1, Label.STREET), names(0, Label.INDOOR)
    unknown = {y: names(y, Label.UNKNOWN) for y in (0, 1)}
    n_unknown = len(unknown[0]) + len(unknown[1])
    return {
        "rooms": {"n": n[1], "missed": missed, "unknown": unknown[1], "missed_ci": share_ci(len(missed), n[1])},
        "streets": {"n": n[0], "flagged": flagged, "unknown": unknown[0],
                    "flagged_ci": share_ci(len(flagged), n[0])},
        "unknown": {"k": n_unknown, "n": len(said), "ci": share_ci(n_unknown, len(said))},
    }  # fmt: skip


def share_ci(k: int, n: int) -> list[float] | None:
    """Wilson's interval; None of nothing."""
    return list(metrics.wilson(k, n)) if n else None


def slices(s: Scored) -> dict[str, dict[str, Any]]:
    """Per flag: frames by what they are called, and cameras over the frames that carry it."""
    flags = sorted({f for text in s.flags for f in text.split()})
    named = {flag: frozenset({flag}) for flag in flags}
    named |= {name: both for name, both in COMBINED.items() if not both.isdisjoint(flags)}
    rows = {name: s.flagged(wanted) for name, wanted in named.items()}
    return {name: _slice(s.take(r)) for name, r in rows.items() if r.sum() >= MIN_SLICE}


def _slice(s: Scored) -> dict[str, Any]:
    called = np.where(s.p <= s.street_below, 0, np.where(s.p >= s.indoor_above, 1, -1))
    cameras = camera_labels(s).values()
    n_right = sum(label is (Label.STREET, Label.INDOOR)[truth] for truth, label in cameras)
    found: dict[str, Any] = {
        "right": {"k": n_right, "n": len(cameras), "ci": share_ci(n_right, len(cameras))}
    }
    for y, name in ((1, "rooms"), (0, "streets")):
        frames, labels = called[s.label == y], [label for truth, label in cameras if truth == y]
        by = {"indoor": int((frames == 1).sum()), "unknown": int((frames < 0).sum()),
              "street": int((frames == 0).sum())}  # fmt: skip
        k = {label.value: labels.count(label) for label in Label}
        cis = {label: share_ci(n, len(labels)) for label, n in k.items()}
        found[name] = {"frames": len(frames), "frames_called": by, "cameras": len(labels),
                       "cameras_called": k, "ci": cis}  # fmt: skip
    return found


def recall_in(s: Scored, rows: Mask, fpr: float) -> dict[str, Any]:
    """Recall of the rooms among ``rows`` at the threshold that flags ``fpr`` of **all** streets."""
    rooms = rows & (s.label == 1)

    def recall(w: Ints) -> float | None:
        streets = np.sort(np.repeat(s.p[s.label == 0], w[s.label == 0]))[::-1]
        found = s.p > streets[int(np.floor(fpr * len(streets)))]
        n = int(w[rooms].sum())
        return float(w[rooms & found].sum() / n) if n else None

    value = recall(np.ones(len(s), np.int64))
    drawn = [v for w in metrics.group_draws(s.label, s.group) if (v := recall(w)) is not None]
    cameras = len(np.unique(s.group[rooms]))
    return {
        "frames": int(rooms.sum()),
        "cameras": cameras,
        "value": None if value is None else round(value, 4),
        # Of one camera nothing can be drawn anew.
        "ci": list(metrics.interval(drawn)) if cameras > 1 else None,
    }


def curves(p: Floats, label: Ints) -> dict[str, Any]:
    """ROC steps where recall changes, and the bars of the reliability diagram with Wilson's interval."""
    roc: list[list[float]] = []
    for point in metrics.Ranking(p, label).roc(1.0):
        if not roc or point.recall > roc[-1][1]:
            roc.append([round(point.fpr, 5), round(point.recall, 5)])
    bins = [
        {"p": round(b.p_mean, 4), "share": round(b.indoor_share, 4), "n": b.n,
         "ci": share_ci(round(b.indoor_share * b.n), b.n)}
        for b in metrics.reliability(p, label)
    ]  # fmt: skip
    return {"roc": roc, "reliability": bins}


# --- cross-fitting -------------------------------------------------------------------------------


def crossfitted(
    found: calibrate.Margins, fold: Ints, others: calibrate.Margins | None
) -> tuple[Floats, Floats, Floats, list[dict[str, float]]]:
    """Each fold at the operating point of the other folds, `balanced` with ``others``.

    Returns ``p``, ``street_below`` and ``indoor_above`` per row, and the operating point of each fold.
    """
    p, below, above = (np.zeros(len(fold)) for _ in range(3))
    points = []
    for k in np.unique(fold):
        out = fold == k
        base = found.take(~out)
        t, chosen = calibrate.operating_point(base if others is None else calibrate.balanced(base, others))
        p[out] = calibrate.sigmoid(found.margin[out] / t)
        below[out], above[out] = chosen.street_below, chosen.indoor_above
        points.append({"fold": int(k), "temperature": round(t, 4), "street_below": chosen.street_below,
                       "indoor_above": chosen.indoor_above})  # fmt: skip
    return p, below, above, points
