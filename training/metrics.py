"""Figures for ranking, calibration and cameras: pure functions of scores, labels and groups.

Labels are 0 (street) and 1 (indoor); ``p`` is the calibrated probability of indoor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def recall_at_fpr(p: Floats, y: Ints, fpr: float) -> float:
    """Share of indoor pictures above the threshold that flags at most ``fpr`` of the streets."""
    streets = np.sort(p[y == 0])[::-1]
    return float((p[y == 1] > streets[int(np.floor(fpr * len(streets)))]).mean())


def ece(p: Floats, y: Ints, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Guo et al., 2017)."""
    which = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[which == b].mean() - y[which == b].mean()) * (which == b).mean() for b in np.unique(which)]
    return float(np.sum(gaps))


def by_group_interval(
    figure: Callable[[Floats, Ints], float], p: Floats, y: Ints, groups: NDArray[np.str_], *, draws: int = 500
) -> list[float]:
    """95 % bootstrap interval of a figure, drawing whole groups: frames of one camera are not independent."""
    rng, names = np.random.default_rng(0), np.unique(groups)
    rows = {g: np.flatnonzero(groups == g) for g in names}
    found = []
    for _ in range(draws):
        i = np.concatenate([rows[g] for g in rng.choice(names, len(names))])
        if 0 < y[i].mean() < 1:
            found.append(figure(p[i], y[i]))
    return [round(float(v), 4) for v in np.percentile(found, [2.5, 97.5])]


def wilson(k: int, n: int) -> list[float]:
    """95 % interval of a share, Wilson's."""
    interval = binomtest(k, n).proportion_ci(method="wilson")
    return [round(float(interval.low), 4), round(float(interval.high), 4)]


def frame_figures(p: Floats, y: Ints, groups: NDArray[np.str_]) -> dict[str, object]:
    """Ranking and calibration of single frames, with intervals by camera."""
    return {
        "auroc": round(float(roc_auc_score(y, p)), 4),
        "auroc_ci": by_group_interval(lambda a, b: float(roc_auc_score(b, a)), p, y, groups),
        "recall_at_fpr": {
            str(f): {
                "value": round(recall_at_fpr(p, y, f), 4),
                "ci": by_group_interval(lambda a, b, f=f: recall_at_fpr(a, b, f), p, y, groups),  # type: ignore[misc]
            }
            for f in (0.005, 0.01)
        },
        "ece": round(ece(p, y), 4),
    }


def cameras_wrong(p: Floats, y: Ints, groups: NDArray[np.str_]) -> dict[str, float]:
    """Cameras whose median frame lies on the wrong side of one half, with that median."""
    medians = {str(g): float(np.median(p[groups == g])) for g in np.unique(groups)}
    return {g: round(m, 4) for g, m in medians.items() if (m > 0.5) != bool(y[groups == g][0])}
