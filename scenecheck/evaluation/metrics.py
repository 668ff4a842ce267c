"""Figures for ranking, calibration and cameras: pure functions of scores, labels and groups.

Labels ``y`` are 0 (street) and 1 (indoor); ``p`` is the calibrated probability of indoor; both hold N values.
Intervals are of 95 %. Frames of one camera are not independent, so what is drawn anew is whole groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import beta, binomtest  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Groups = NDArray[np.str_]

Interval = tuple[float, float]

FPRS = (0.005, 0.01)
"""Operating points: shares of the street pictures that may be flagged."""

DRAWS = 500
"""Bootstrap draws: the ends of an interval then move by a few percent of its width from seed to seed."""


N_BINS = 10
"""Bars of a reliability diagram."""


class Bin(NamedTuple):
    """One bar of a reliability diagram: scores in ``low`` to ``high``, their mean, and the truth's."""

    low: float
    high: float
    n: int
    p_mean: float
    indoor_share: float


class RocPoint(NamedTuple):
    """One step of a ROC curve: what is above ``threshold`` is called indoor."""

    fpr: float
    recall: float
    threshold: float


class Ranking:
    """Scores put in order once, so that weighted figures cost no sorting again.

    Weights ``w`` ``[N]`` say how often each frame counts; None is once. Raises ValueError unless both labels
    are there.
    """

    def __init__(self, p: Floats, y: Ints) -> None:
        if len(p) != len(y) or not 0 < int(y.sum()) < len(y):
            raise ValueError(
                f"ranking: expected street and indoor frames, got {int(y.sum())} indoor of {len(y)}"
            )
        self._order = np.argsort(p, kind="stable")
        self._p, self._is_indoor = p[self._order], y[self._order] == 1
        # Equal scores form a block: no order among them may count.
        self._starts = np.flatnonzero(np.r_[True, self._p[1:] != self._p[:-1]])

    def _blocks(self, w: Ints | None) -> tuple[Floats, Floats]:
        """Weight of streets and of rooms in each block of equal scores, in ascending order."""
        weight = np.ones(len(self._p)) if w is None else w[self._order].astype(np.float64)
        indoor = np.add.reduceat(np.where(self._is_indoor, weight, 0.0), self._starts)
        return np.add.reduceat(weight, self._starts) - indoor, indoor

    def auroc(self, w: Ints | None = None) -> float:
        """Probability that a room scores above a street, ties counting half (Hanley and McNeil, 1982)."""
        street, indoor = self._blocks(w)
        below = np.cumsum(street) - street
        return float(np.sum(indoor * (below + street / 2)) / (street.sum() * indoor.sum()))

    def recall_at_fpr(self, fpr: float, w: Ints | None = None) -> float:
        """Share of rooms above the threshold that flags at most ``fpr`` of the streets."""
        street, indoor = self._blocks(w)
        may_be_flagged = np.floor(fpr * street.sum())
        above = np.cumsum(street[::-1])[::-1]  # streets in this block or above
        n_too_low = int(np.count_nonzero(above > may_be_flagged))  # these blocks come first
        return float(indoor[n_too_low:].sum() / indoor.sum())

    def roc(self, max_fpr: float) -> list[RocPoint]:
        """Steps of the curve up to ``max_fpr``, from the strictest threshold on; one point for each rate."""
        street, indoor = self._blocks(None)
        thresholds = self._p[self._starts]
        fpr = 1 - np.cumsum(street) / street.sum()  # above the block's score
        recall = 1 - np.cumsum(indoor) / indoor.sum()
        found: dict[float, RocPoint] = {}
        for i in range(len(fpr) - 1, -1, -1):
            if fpr[i] > max_fpr + 1e-12:
                break
            at = round(float(fpr[i]), 6)  # a later, lower threshold of the same rate catches more
            found[at] = RocPoint(at, round(float(recall[i]), 6), float(thresholds[i]))
        return list(found.values())


def auroc(p: Floats, y: Ints) -> float:
    """Area under the ROC curve."""
    return Ranking(p, y).auroc()


def recall_at_fpr(p: Floats, y: Ints, fpr: float) -> float:
    """Share of indoor pictures above the threshold that flags at most ``fpr`` of the streets."""
    return Ranking(p, y).recall_at_fpr(fpr)


def reliability(p: Floats, y: Ints, w: Ints | None = None) -> list[Bin]:
    """The bars of a reliability diagram: equal widths, empty ones left out (Guo et al., 2017)."""
    weight = np.ones(len(p)) if w is None else w.astype(np.float64)
    which = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    n, p_sum, y_sum = (np.bincount(which, v, minlength=N_BINS) for v in (weight, weight * p, weight * y))
    return [
        Bin(b / N_BINS, (b + 1) / N_BINS, int(n[b]), float(p_sum[b] / n[b]), float(y_sum[b] / n[b]))
        for b in np.flatnonzero(n).tolist()
    ]


def ece(p: Floats, y: Ints, w: Ints | None = None) -> float:
    """Expected calibration error over equal-width bins (Guo et al., 2017)."""
    bars = reliability(p, y, w)
    return sum(abs(b.p_mean - b.indoor_share) * b.n for b in bars) / sum(b.n for b in bars)


def group_draws(y: Ints, groups: Groups, *, draws: int = DRAWS) -> Iterator[Ints]:
    """Weights ``int64 [N]`` of bootstrap draws of whole groups, seeded; draws without both labels are left out."""
    names, of_row = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(0)
    for _ in range(draws):
        w = np.bincount(rng.choice(len(names), len(names)), minlength=len(names))[of_row]
        if 0 < int((w * y).sum()) < int(w.sum()):
            yield w


def interval(values: Sequence[float] | Floats) -> Interval:
    """The middle 95 % of bootstrapped values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def paired_bootstrap(old: Ranking, new: Ranking, y: Ints, groups: Groups, fpr: float) -> Floats:
    """Differences new minus old of recall at ``fpr``, one for each draw of whole groups."""
    return np.array([
        new.recall_at_fpr(fpr, w) - old.recall_at_fpr(fpr, w) for w in group_draws(y, groups, draws=2000)
    ])  # fmt: skip


def ece_interval(p: Floats, y: Ints, groups: Groups) -> Interval:
    """Interval of the calibration error, by groups."""
    return interval([ece(p, y, w) for w in group_draws(y, groups)])


def mcnemar(n_worse: int, n_better: int) -> float:
    """Exact one-sided p-value that frames turned wrong no more often than right (McNemar, 1947)."""
    if n_worse + n_better == 0:
        return 1.0
    return float(binomtest(n_worse, n_worse + n_better, 0.5, alternative="greater").pvalue)


def wilson(k: int, n: int) -> Interval:
    """95 % interval of a share (Wilson, 1927)."""
    found = binomtest(k, n).proportion_ci(method="wilson")
    return round(float(found.low), 4), round(float(found.high), 4)


def at_most(k: int, n: int) -> float:
    """What ``k`` of ``n`` proves: the share is not above this, with 95 % (Clopper and Pearson, 1934)."""
    return 1.0 if k >= n else float(beta.ppf(0.95, k + 1, n - k))


class FrameIntervals(NamedTuple):
    """Intervals of the figures of single frames, all from the same draws of whole groups."""

    auroc: Interval
    recall_at_fpr: dict[float, Interval]
    ece: Interval

    @classmethod
    def drawn(cls, ranking: Ranking, p: Floats, y: Ints, groups: Groups) -> FrameIntervals:
        """Draw groups anew; ``ranking`` is that of ``p`` and ``y``."""
        aurocs, eces = [], []
        recalls: dict[float, list[float]] = {fpr: [] for fpr in FPRS}
        for w in group_draws(y, groups):
            aurocs.append(ranking.auroc(w))
            eces.append(ece(p, y, w))
            for fpr, values in recalls.items():
                values.append(ranking.recall_at_fpr(fpr, w))
        return cls(interval(aurocs), {fpr: interval(v) for fpr, v in recalls.items()}, interval(eces))


def frame_figures(p: Floats, y: Ints, groups: Groups) -> dict[str, object]:
    """Ranking and calibration of single frames, with intervals by camera, as a model card holds them."""
    ranking = Ranking(p, y)
    found = FrameIntervals.drawn(ranking, p, y, groups)
    return {
        "auroc": round(ranking.auroc(), 4),
        "auroc_ci": list(found.auroc),
        "recall_at_fpr": {
            str(fpr): {"value": round(ranking.recall_at_fpr(fpr), 4), "ci": list(ci)}
            for fpr, ci in found.recall_at_fpr.items()
        },
        "ece": round(ece(p, y), 4),
    }


def cameras_wrong(p: Floats, y: Ints, groups: Groups) -> dict[str, float]:
    """Cameras whose median frame lies on the wrong side of one half, with that median."""
    medians = {str(g): float(np.median(p[groups == g])) for g in np.unique(groups)}
    return {g: round(m, 4) for g, m in medians.items() if (m > 0.5) != bool(y[groups == g][0])}
