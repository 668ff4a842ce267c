"""Temperature and thresholds, from scores of pictures whose source the net never saw.

    python -m training.calibrate [--run training/runs/shipped]

Temperature scaling (Guo et al., 2017) on the held-out scores of `training.train`, of the pictures as they
are and as surveillance cameras would show them, together. The thresholds follow from what mistakes cost:
a room called street is the incident itself, a street called indoor makes people switch the tool off, and
`unknown` only asks somebody to look. So `street_below` lets at most `MISS_RATE` of the held-out rooms pass
as street, frame by frame, and `indoor_above` flags at most `FALSE_ALARM_RATE` of the streets, over the
pictures as they are and as a bad camera would show them, half and half. A verdict joins several frames.

Writes RUN/calibration.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from scenecheck.evaluation.metrics import ece
from scenecheck.types import Thresholds

RUN = Path(__file__).resolve().parent / "runs" / "shipped"

MISS_RATE = 0.01
FALSE_ALARM_RATE = 0.01
# Strangers' cameras are further from the training pictures than its own sources are from each other: a
# threshold beyond these would trust the held-out folds more than they deserve.
STREET_BELOW_RANGE = (0.02, 0.30)
INDOOR_ABOVE_RANGE = (0.70, 0.98)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def temperature(margin: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64]) -> float:
    """The divisor of the margins (indoor minus street logit) with the least weighted log loss."""

    def loss(log_t: float) -> float:
        z = margin / np.exp(log_t) * (2 * label - 1)
        return float(np.average(np.logaddexp(0, -z), weights=weight))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def thresholds(
    p: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> Thresholds:
    """Operating points by what mistakes cost; ``weight`` counts a row as so many."""
    weight = np.ones(len(p)) if weight is None else weight

    def quantile(y: int, q: float) -> float:
        of = label == y
        return float(np.quantile(p[of], q, weights=weight[of], method="inverted_cdf"))

    street_below = np.clip(quantile(1, MISS_RATE), *STREET_BELOW_RANGE)
    indoor_above = np.clip(quantile(0, 1 - FALSE_ALARM_RATE), *INDOOR_ABOVE_RANGE)
    return Thresholds(round(float(street_below), 3), round(float(indoor_above), 3))


def calibrated(run: Path) -> dict[str, object]:
    """Temperature, thresholds and what they do on the held-out pictures."""
    with np.load(run / "held_out.npz") as held:
        plain, camera = held["margin"].astype(np.float64), held["margin_camera"].astype(np.float64)
        label, weight = held["label"].astype(np.int64), held["weight"].astype(np.float64)
    both = np.concatenate([plain, camera])
    t = temperature(both, np.tile(label, 2), np.tile(weight, 2))
    p, p_camera, p_both = sigmoid(plain / t), sigmoid(camera / t), sigmoid(both / t)
    rooms, streets = p_both[np.tile(label, 2) == 1], p_both[np.tile(label, 2) == 0]
    chosen = thresholds(p_both, np.tile(label, 2))
    street_below, indoor_above = chosen.street_below, chosen.indoor_above
    return {
        "temperature": round(t, 4),
        "thresholds": {"street_below": street_below, "indoor_above": indoor_above},
        "held_out": {
            "pictures": len(label),
            "ece": round(ece(p, label), 4),
            "ece_as_cameras_show_them": round(ece(p_camera, label), 4),
            "rooms_called_street": round(float((rooms <= street_below).mean()), 5),
            "streets_called_indoor": round(float((streets >= indoor_above).mean()), 5),
            "unknown": round(float(((p_both > street_below) & (p_both < indoor_above)).mean()), 4),
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
