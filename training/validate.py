"""Judge strangers' cameras with the exported model, beside the frozen-features baseline.

    python -m training.validate [--manifest MANIFEST.csv] [--model models/scenecheck.json] [--json] [--no-baseline]

The pictures go the product's own way (preprocess, classifier, verdict). The manifest's cameras must not
have been trained on; the default is the CCTV set beside the repository, which no training step reads.
The baseline is a logistic regression on the frozen ImageNet net's embeddings of the same training pictures.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenecheck.classifier import Classifier
from scenecheck.evaluation import metrics
from scenecheck.types import Label, Sighting, Thresholds
from scenecheck.verdict import judge
from training import prepare

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
CACHE = Path(__file__).resolve().parent / ".cache"
MIN_SLICE = 8  # pictures of a flag below which a figure says nothing


def scores(examples: prepare.Examples, model: Path | None) -> tuple[NDArray[np.float64], Thresholds]:
    """``p_indoor`` of every picture, and the card's thresholds."""
    with Classifier(model) as classifier:
        p = [
            classifier.score(
                np.stack([prepare.to_tile(prepare.read_rgb(examples.root / q)) for q in part])
            ).p_indoor
            for part in np.array_split(examples.path, max(1, len(examples) // 32))
        ]
        return np.concatenate(p), classifier.card.thresholds


def cameras(p: NDArray[np.float64], examples: prepare.Examples, thresholds: Thresholds) -> dict[str, Any]:
    """Verdicts of whole cameras by the product's rule, over all their frames."""
    counts: Counter[tuple[str, str]] = Counter()
    names: dict[str, list[str]] = {"missed": [], "flagged": [], "unknown_rooms": [], "unknown_streets": []}
    for group in np.unique(examples.group):
        rows = np.flatnonzero(examples.group == group)
        truth = prepare.LABELS[int(examples.label[rows[0]])]
        verdict = judge([Sighting(float(i), float(p[r])) for i, r in enumerate(rows)], thresholds).label
        counts[truth, verdict.value] += 1
        if verdict is Label.UNKNOWN:
            names["unknown_rooms" if truth == "indoor" else "unknown_streets"].append(str(group))
        elif verdict.value != truth:
            names["missed" if truth == "indoor" else "flagged"].append(str(group))
    n = sum(counts.values())
    n_unknown = len(names["unknown_rooms"]) + len(names["unknown_streets"])
    return {
        "n": n,
        "rooms": sum(v for (t, _), v in counts.items() if t == "indoor"),
        "streets": sum(v for (t, _), v in counts.items() if t == "street"),
        "unknown_share": round(n_unknown / n, 4),
        **names,
    }


def slices(
    p: NDArray[np.float64], examples: prepare.Examples, thresholds: Thresholds
) -> dict[str, dict[str, Any]]:
    """Per flag: pictures, and the share called right, unknown and wrong by the card's thresholds."""
    said = np.where(p <= thresholds.street_below, 0, np.where(p >= thresholds.indoor_above, 1, -1))
    flags = sorted({f for text in examples.flags for f in text.split()})
    found = {}
    for flag in flags:
        rows = np.array([flag in text.split() for text in examples.flags])
        if rows.sum() >= MIN_SLICE:
            wrong = (said[rows] >= 0) & (said[rows] != examples.label[rows])
            found[flag] = {
                "pictures": int(rows.sum()),
                "cameras": len(np.unique(examples.group[rows])),
                "right": round(float((said[rows] == examples.label[rows]).mean()), 3),
                "unknown": round(float((said[rows] < 0).mean()), 3),
                "wrong": round(float(wrong.mean()), 3),
            }
    return found


def baseline(train: prepare.Examples, test: prepare.Examples) -> NDArray[np.float64]:
    """``p_indoor`` of ``test`` by logistic regression on frozen embeddings of ``train``."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from training.net import imagenet_net
    from training.train import run

    net = imagenet_net().to(memory_format=torch.channels_last)
    trunk = prepare.export_trunk(net.trunk, CACHE / "trunk.onnx")
    embeddings = [
        run(net.tail, prepare.view_features(e, 0, seed=0, trunk=trunk, cache=CACHE))[1] for e in (train, test)
    ]
    head = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced"))
    return np.asarray(head.fit(embeddings[0], train.label).predict_proba(embeddings[1])[:, 1], np.float64)


def judged(
    p: NDArray[np.float64], examples: prepare.Examples, thresholds: Thresholds | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "frames": metrics.frame_figures(p, examples.label, examples.group),
        "cameras_wrong_by_median": metrics.cameras_wrong(p, examples.label, examples.group),
    }
    if thresholds is not None:
        found["verdicts"] = cameras(p, examples, thresholds)
        found["slices"] = slices(p, examples, thresholds)
    return found


def figures(manifest: Path, model: Path | None, *, with_baseline: bool) -> dict[str, Any]:
    """Everything this module prints."""
    test = prepare.read_manifest(manifest)
    p, thresholds = scores(test, model)
    found: dict[str, Any] = {
        "manifest": manifest.parent.name + "/" + manifest.name,
        "n": {
            "frames": len(test),
            "indoor_frames": int(test.label.sum()),
            "cameras": len(np.unique(test.group)),
            "indoor_cameras": len(np.unique(test.group[test.label == 1])),
        },
        "model": judged(p, test, thresholds),
    }
    if with_baseline:
        train = prepare.read_manifest(DATA / "scenes" / "manifest.csv")
        found["baseline"] = judged(baseline(train, test), test, None)
    return found


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown, model and baseline side by side."""
    sides = [(name, found[name]) for name in ("model", "baseline") if name in found]
    lines = ["| | " + " | ".join(name for name, _ in sides) + " |", "|---|" + "---|" * len(sides)]

    def row(title: str, *cells: str) -> None:
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    def interval(value: float, ci: list[float]) -> str:
        return f"{value:.4f} [{ci[0]:.3f}, {ci[1]:.3f}]"

    row("frame AUROC", *[interval(s["frames"]["auroc"], s["frames"]["auroc_ci"]) for _, s in sides])
    for fpr, title in (("0.005", "0.5 %"), ("0.01", "1 %")):
        cells = [s["frames"]["recall_at_fpr"][fpr] for _, s in sides]
        row(f"indoor recall at {title} false positives", *[interval(c["value"], c["ci"]) for c in cells])
    row("ECE", *[f"{s['frames']['ece']:.3f}" for _, s in sides])
    n = found["n"]["cameras"]
    row(f"cameras wrong of {n}, median frame", *[str(len(s["cameras_wrong_by_median"])) for _, s in sides])
    verdicts = found["model"]["verdicts"]
    lines += ["", verdict_sentence(verdicts), ""]
    lines += ["| flag | pictures | cameras | right | unknown | wrong |", "|---|---|---|---|---|---|"]
    for flag, s in found["model"]["slices"].items():
        lines.append(
            f"| {flag} | {s['pictures']} | {s['cameras']} | {s['right']:.0%} | {s['unknown']:.0%} | {s['wrong']:.0%} |"
        )
    return "\n".join(lines)


def verdict_sentence(verdicts: dict[str, Any]) -> str:
    """What became of whole cameras, by name, a zero with what it proves."""
    missed, flagged = (
        f"{len(verdicts[k])} of {verdicts[n]}" for k, n in (("missed", "rooms"), ("flagged", "streets"))
    )
    proven = {
        k: metrics.wilson(len(verdicts[k]), verdicts[n])
        for k, n in (("missed", "rooms"), ("flagged", "streets"))
    }
    names = {k: ", ".join(v) or "none" for k, v in verdicts.items() if isinstance(v, list)}
    return (
        f"Verdicts of the {verdicts['n']} cameras: {missed} rooms called street ({names['missed']}; 95 % interval "
        f"{proven['missed']}), {flagged} streets called indoor ({names['flagged']}; {proven['flagged']}), "
        f"{verdicts['unknown_share']:.1%} unknown (rooms: {names['unknown_rooms']}; "
        f"streets: {names['unknown_streets']})."
    )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--manifest", type=Path, default=DATA / "cctv" / "manifest.csv")
    ap.add_argument("--model", type=Path)
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--no-baseline", action="store_true")
    a = ap.parse_args()
    found = figures(a.manifest, a.model, with_baseline=not a.no_baseline)
    print(json.dumps(found, indent=1) if a.json else table(found))


if __name__ == "__main__":
    main()
