"""What each corruption does to the scores: ranking, and where p_indoor drifts.

    python -m training.robustness [--json] [--cameras N]

Every named corruption of `scenecheck.evaluation`, at three severities, on one still of each camera (evenly fewer
with ``--cameras``), at the size the product's tile has in view; besides them ``looks_like_cctv``: H.264, few
pixels, overlay and noise together. Seeded; one core.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from scenecheck.classifier import Classifier
from scenecheck.evaluation import corruptions
from training import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SEVERITIES = (0.25, 0.5, 1.0)
CCTV_LOOK = ("low_resolution", "sensor_noise", "overlay", "h264")
SIZE = (360, 640)
"""Rows and columns to which a still is brought first: a camera's common sub-stream."""

SEED = 7
MAX_LOOK_SHIFT = 0.05


def looks_like_cctv(
    rgb: corruptions.Picture, severity: float, rng: np.random.Generator
) -> corruptions.Picture:
    """The transport of a cheap camera and nothing else: few pixels, noise, overlay, H.264."""
    for name in CCTV_LOOK:
        rgb = corruptions.CORRUPTIONS[name](rgb, severity, rng)
    return rgb


CORRUPTIONS: dict[str, corruptions.Corruption] = {
    "looks_like_cctv": looks_like_cctv,
    **corruptions.CORRUPTIONS,
}


def chosen(examples: prepare.Examples, n_cameras: int | None) -> prepare.Examples:
    """The middle still of each camera; of ``n_cameras`` spread evenly over each label when given."""
    middle = np.array([rows[len(rows) // 2] for g in np.unique(examples.group)
                       for rows in [np.flatnonzero(examples.group == g)]])  # fmt: skip
    if n_cameras is None or n_cameras >= len(middle):
        return examples.take(middle)
    kept = []
    for y in (0, 1):
        of_label = middle[examples.label[middle] == y]
        n = max(1, round(n_cameras * len(of_label) / len(middle)))
        kept.append(of_label[np.linspace(0, len(of_label) - 1, n).round().astype(int)])
    return examples.take(np.sort(np.concatenate(kept)))


def corrupted(pictures: list[corruptions.Picture], name: str, severity: float) -> NDArray[np.uint8]:
    """Tiles ``uint8 [n, 3, H, W]``; each picture has its own generator, whatever runs before it."""
    make = CORRUPTIONS[name]
    key = zlib.crc32(name.encode())
    return np.stack([
        prepare.to_tile(make(rgb, severity, np.random.default_rng((SEED, key, round(severity * 100), i))))
        for i, rgb in enumerate(pictures)
    ])  # fmt: skip


def row(p: NDArray[np.float64], clean: NDArray[np.float64], label: NDArray[np.int64]) -> dict[str, float]:
    """AUROC, and the mean shift of p_indoor of streets and of rooms."""
    shift = p - clean
    return {
        "auroc": round(float(roc_auc_score(label, p)), 4),
        "shift_street": round(float(shift[label == 0].mean()), 4),
        "shift_indoor": round(float(shift[label == 1].mean()), 4),
    }


def figures(
    score: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
    examples: prepare.Examples,
    *,
    names: tuple[str, ...] = tuple(CORRUPTIONS),
) -> dict[str, Any]:
    """Every corruption at every severity; ``score`` gives p_indoor of tiles."""
    height, width = SIZE
    pictures = [cv2.resize(prepare.read_rgb(examples.root / p), (width, height), interpolation=cv2.INTER_AREA)
                for p in examples.path]  # fmt: skip
    clean = score(np.stack([prepare.to_tile(rgb) for rgb in pictures]))
    found = {
        name: {str(s): row(score(corrupted(pictures, name, s)), clean, examples.label) for s in SEVERITIES}
        for name in names
    }
    return {
        "stills": len(examples),
        "indoor": int(examples.label.sum()),
        "seed": SEED,
        "clean_auroc": round(float(roc_auc_score(examples.label, clean)), 4),
        "corruptions": found,
    }


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown; a cell is AUROC, then the shifts of streets and rooms."""
    lines = [
        (
            f"{found['stills']} stills, one a camera ({found['indoor']} indoor), seed {found['seed']}; clean AUROC "
            f"{found['clean_auroc']:.4f}. AUROC (mean shift of p_indoor: streets, rooms)."
        ),
        "",
        "| corruption | " + " | ".join(f"severity {s}" for s in SEVERITIES) + " |",
        "|---|" + "---|" * len(SEVERITIES),
    ]
    for name, by_severity in found["corruptions"].items():
        cells = (
            f"{c['auroc']:.4f} ({c['shift_street']:+.3f}, {c['shift_indoor']:+.3f})"
            for c in by_severity.values()
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if "looks_like_cctv" in found["corruptions"]:
        worst = max(abs(c[k]) for c in found["corruptions"]["looks_like_cctv"].values()
                    for k in ("shift_street", "shift_indoor"))  # fmt: skip
        said = "within" if worst <= MAX_LOOK_SHIFT else "NOT within"
        lines += [
            "",
            f"`looks_like_cctv` moves p_indoor by at most {worst:.3f} on average: {said} {MAX_LOOK_SHIFT}.",
        ]
    return "\n".join(lines)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--manifest", type=Path, default=DATA / "cctv" / "manifest.csv")
    ap.add_argument("--model", type=Path)
    ap.add_argument("--cameras", type=int, help="only so many, spread evenly over each label")
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    cv2.setNumThreads(1)
    examples = chosen(prepare.read_manifest(a.manifest), a.cameras)
    with Classifier(a.model, threads=1) as classifier:
        found = figures(lambda batch: classifier.score(batch).p_indoor, examples)
    print(json.dumps(found, indent=1) if a.json else table(found))


if __name__ == "__main__":
    main()
