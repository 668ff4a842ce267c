"""Temperature and thresholds, from scores of pictures whose source the net never saw.

    python -m training.calibrate [--run training/runs/shipped]

Temperature scaling (Guo et al., 2017) on the held-out scores of `training.train`, of the pictures as they
are and as surveillance cameras would show them, together. The thresholds follow from what mistakes cost:
a room called street is the incident itself, a street called indoor makes people switch the tool off, and
`unknown` only asks somebody to look. So `street_below` lets at most `MISS_RATE` of the held-out rooms pass
as street, frame by frame, and `indoor_above` flags at most `FALSE_ALARM_RATE` of the streets, over the
pictures as they are and as a bad camera would show them, half and half. A verdict joins several frames.

A run that trained on cameras in folds (RUN/cameras.npz) adds their held-out margins, at `CAMERA_SHARE` of the
weight, without the cameras kept apart (`prepare.is_kept_apart`): those judge the shipped net and set nothing.

Writes RUN/calibration.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from scenecheck.evaluation.metrics import ece
from scenecheck.types import Thresholds
from training.prepare import is_kept_apart

RUN = Path(__file__).resolve().parent / "runs" / "shipped"

MISS_RATE = 0.01
FALSE_ALARM_RATE = 0.01
# Strangers' cameras are further from the training pictures than its own sources are from each other: a
# threshold beyond these would trust the held-out folds more than they deserve.
STREET_BELOW_RANGE = (0.02, 0.30)
INDOOR_ABOVE_RANGE = (0.70, 0.98)

CAMERA_SHARE = 0.5
"""What the cameras weigh beside the photographs where both set temperature and thresholds: cameras are what
is judged, but there are so few that one of them must not decide."""


@dataclass(frozen=True)
class Margins:
    """Margins (indoor minus street logit) with labels and how much each counts: arrays of length N."""

    margin: NDArray[np.float64]
    label: NDArray[np.int64]
    weight: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_]) -> Margins:
        return Margins(self.margin[rows], self.label[rows], self.weight[rows])


def balanced(cameras: Margins, photographs: Margins) -> Margins:
    """Both together, the cameras weighing `CAMERA_SHARE` of it all."""
    factor = CAMERA_SHARE / (1 - CAMERA_SHARE) * photographs.weight.sum() / cameras.weight.sum()
    return Margins(
        np.concatenate([cameras.margin, photographs.margin]),
        np.concatenate([cameras.label, photographs.label]),
        np.concatenate([cameras.weight * factor, photographs.weight]),
    )


def operating_point(m: Margins) -> tuple[float, Thresholds]:
    """Temperature and thresholds: the rule for what ships and for every fold."""
    t = temperature(m.margin, m.label, m.weight)
    return t, thresholds(sigmoid(m.margin / t), m.label, m.weight)


def photographs(run: Path) -> Margins:
    """Held-out margins of the photographs that count, first as they are, then as cameras would show them."""
    with np.load(run / "held_out.npz") as held:
        kept = held["weight"] > 0
        margin = np.concatenate([held["margin"][kept], held["margin_camera"][kept]])
        label, weight = np.tile(held["label"][kept], 2), np.tile(held["weight"][kept], 2)
    return Margins(margin.astype(np.float64), label.astype(np.int64), weight.astype(np.float64))


def cameras(run: Path) -> tuple[Margins, dict[str, NDArray[np.generic]]] | None:
    """Margins of camera frames by the nets that never saw the camera, and the other columns; None without such."""
    path = run / "cameras.npz"
    if not path.is_file():
        return None
    with np.load(path) as f:
        columns = {k: f[k] for k in f.files}
    margin, label = columns["margin"].astype(np.float64), columns["label"].astype(np.int64)
    return Margins(margin, label, np.ones(len(margin))), columns


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def temperature(margin: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    """The divisor of the margins (indoor minus street logit) with the least weighted log loss."""

    def loss(log_t: float) -> float:
        z = margin / np.exp(log_t) * (2 * label - 1)
        return float(np.average(np.logaddexp(0, -z), weights=weight))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def thresholds(p: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64]) -> Thresholds:
    """Operating points by what mistakes cost; ``weight`` is what each row counts."""

    def quantile(y: int, q: float) -> float:
        of = label == y
        return float(np.quantile(p[of], q, weights=weight[of], method="inverted_cdf"))

    street_below = np.clip(quantile(1, MISS_RATE), *STREET_BELOW_RANGE)
    indoor_above = np.clip(quantile(0, 1 - FALSE_ALARM_RATE), *INDOOR_ABOVE_RANGE)
    return Thresholds(round(float(street_below), 3), round(float(indoor_above), 3))


def calibrated(run: Path) -> dict[str, object]:
    """Temperature, thresholds and what they do on the held-out pictures."""
    photos, held = photographs(run), cameras(run)
    if held is None:
        t, chosen = operating_point(photos)
    else:
        may_set = ~np.array([is_kept_apart(str(g)) for g in held[1]["group"]])
        t, chosen = operating_point(balanced(held[0].take(may_set), photos))
    p, y, n = sigmoid(photos.margin / t), photos.label, len(photos.label) // 2
    below, above = p <= chosen.street_below, p >= chosen.indoor_above
    return {
        "temperature": round(t, 4),
        "thresholds": {"street_below": chosen.street_below, "indoor_above": chosen.indoor_above},
        "held_out": {
            "pictures": n,
            "ece": round(ece(p[:n], y[:n]), 4),
            "ece_as_cameras_show_them": round(ece(p[n:], y[n:]), 4),
            "rooms_called_street": round(float(below[y == 1].mean()), 5),
            "streets_called_indoor": round(float(above[y == 0].mean()), 5),
            "unknown": round(float((~below & ~above).mean()), 4),
            **({} if held is None else {"camera_frames": int(may_set.sum())}),
        },
    }


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=RUN)
    a = ap.parse_args()
    found = json.dumps(calibrated(a.run), indent=1)
    (a.run / "calibration.json").write_text(found + "\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
