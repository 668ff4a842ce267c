"""Measure the shipped model and the recipe that made it; every figure of the model card comes from here.

    python -m training.validate                      # all parts, into RUN/figures.json
    python -m training.validate --part cameras clips # these again, the others kept
    python -m training.validate --part cameras --manifest yours/held-out.csv --model MODEL.json

sources     the training photographs, as they are and as bad cameras would show them, by the net of the fold that
            held their whole source out (RUN/held_out.npz)
recipe      the CCTV cameras, by the net of the fold that held the camera out (RUN/cameras.npz, when there is one)
cameras     the CCTV cameras that the shipped net never saw, by it
clips       films of CCTV cameras, by `scenecheck.check`, as the command does
baseline    the CCTV cameras, by logistic regression on the frozen ImageNet net's features of the photographs
robustness, scope, int8, view    the shipped model, by `scenecheck.evaluation.stress`, `training.scope`,
            `training.quantize` and `benchmarks.view`

Temperature and thresholds of `sources` and `recipe` are cross-fitted: set on the other folds. The cameras with
`crc32(group) % 3 == 0` are seen by no shipped net. A part whose pictures are not there is left out, with a notice.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenecheck.atomic import write_whole
from scenecheck.card import Card, card_path, load_card
from scenecheck.classifier import Classifier
from scenecheck.evaluation import metrics
from scenecheck.types import Label
from training import calibrate, figures, prepare, tables, targets
from training.figures import Scored, judged

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = (ROOT.parent / "shared" / "data").resolve()  # manifests are compared by their real paths
RUN = HERE / "runs" / "shipped"
CACHE = HERE / ".cache"
SCHEMA = "scenecheck/model-figures/1"


class NotThereError(Exception):
    """What a part needs is missing; the text says what."""


@dataclass(frozen=True)
class Inputs:
    """Where a part finds what it judges."""

    run: Path
    model: Path
    manifest: Path
    scenes: Path
    clips: Path
    workers: int = 2

    @property
    def card(self) -> Card:
        return load_card(self.model)

    @property
    def has_learned_cameras(self) -> bool:
        """Whether the shipped net saw cameras of the manifest: then only the third kept apart judges it."""
        return (self.run / "cameras.npz").is_file()

    def examples(self) -> prepare.Examples:
        if not self.manifest.is_file():
            raise NotThereError(f"{self.manifest}: no such file")
        return prepare.read_manifest(self.manifest)


def kept_apart(groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.array([prepare.is_kept_apart(str(g)) for g in groups], bool)


# --- the parts -----------------------------------------------------------------------------------


def by_scope(scored: Scored, inputs: Inputs) -> dict[str, Any]:
    """``third``: the cameras kept apart; ``all``: every camera, unless the shipped net has learned from some."""
    if inputs.manifest != DATA / "cctv" / "manifest.csv":
        return {"all": judged(scored)}  # another's cameras: whether they were held out is theirs to know
    found = {"third": judged(scored.take(kept_apart(scored.group)))}
    return found if inputs.has_learned_cameras else {"all": judged(scored), **found}


def cameras(inputs: Inputs) -> dict[str, Any]:
    examples = inputs.examples()
    parts = np.array_split(examples.path, max(1, len(examples) // 32))
    with Classifier(inputs.model, threads=1) as classifier:
        found = [classifier.score(np.stack([prepare.to_tile(prepare.read_rgb(examples.root / q)) for q in part]))
                 for part in parts]  # fmt: skip
    p, is_novel = (
        np.concatenate([getattr(scores, name) for scores in found]) for name in ("p_indoor", "is_novel")
    )
    return by_scope(Scored.by(p, examples, inputs.card.thresholds, is_novel), inputs)


def recipe(inputs: Inputs) -> dict[str, Any]:
    held = calibrate.cameras(inputs.run)
    if held is None:
        raise NotThereError(f"{inputs.run / 'cameras.npz'}: this run trained on no cameras")
    found, columns = held
    fold = columns["fold"].astype(np.int64)
    p, below, above, points = figures.crossfitted(found, fold, photographs(inputs)[0])
    group, flags = columns["group"].astype(np.str_), columns["flags"].astype(np.str_)
    scored = Scored(p, found.label, group, flags, below, above, np.zeros(len(p), bool))
    by_fold = [{"fold": int(k), **judged(scored.take(fold == k))} for k in np.unique(fold)]
    return {"pooled": judged(scored), "folds": by_fold, "operating_points": points}


def photographs(inputs: Inputs) -> tuple[calibrate.Margins, dict[str, NDArray[Any]]]:
    """`calibrate.photographs`, and the other columns of the same pictures."""
    path = inputs.run / "held_out.npz"
    if not path.is_file():
        raise NotThereError(f"{path}: run training.train first")
    with np.load(path) as f:
        held = {k: f[k] for k in f.files}
    held["flags"] = _flags(inputs, held)
    kept = held["weight"] > 0
    return calibrate.photographs(inputs.run), {k: v[kept] for k, v in held.items()}


def _flags(inputs: Inputs, held: dict[str, NDArray[Any]]) -> NDArray[np.str_]:
    """Flags of the held-out rows: from the run, or from the manifest if it still lists the same pictures."""
    if "flags" in held:
        return held["flags"]
    if inputs.scenes.is_file():
        examples = prepare.read_manifest(inputs.scenes)
        if np.array_equal(examples.group, held["group"]):
            return examples.flags
    return np.full(len(held["label"]), "", dtype=np.str_)


def sources(inputs: Inputs) -> dict[str, Any]:
    both, held = photographs(inputs)
    n, fold = len(held["label"]), held["fold"]
    p, below, above, points = figures.crossfitted(both, np.tile(fold, 2), None)
    names, count = np.unique(held["source"], return_counts=True)
    largest = {str(names[i]): int(count[i]) for i in np.argsort(-count, kind="stable")}
    found: dict[str, Any] = {"operating_points": points, "pictures": largest}
    for name, rows in (("as_they_are", slice(0, n)), ("as_cameras_show_them", slice(n, 2 * n))):
        scored = Scored(p[rows], both.label[rows], held["group"], held["flags"], below[rows], above[rows],
                        np.zeros(n, bool))  # fmt: skip
        by_fold = [_brief(scored.take(fold == k), fold=int(k), sources=len(np.unique(held["source"][fold == k])))
                   for k in np.unique(fold)]  # fmt: skip
        found[name] = {"pooled": _brief(scored, sources=len(np.unique(held["source"]))), "folds": by_fold}
        found[name]["pooled"]["night_or_ir"] = figures.recall_in(scored, scored.flagged(figures.NIGHT), 0.01)
    return found


def _brief(s: Scored, **more: int) -> dict[str, Any]:
    """Photographs are no cameras: frames alone, without verdicts."""
    return {**more, "n": figures.counts(s), "frames": metrics.frame_figures(s.p, s.label, s.group)}


def clips(inputs: Inputs) -> dict[str, Any]:
    """Right, unknown and wrong by name, of clips whose camera the shipped net never saw and of the others."""
    from scenecheck import check

    if not inputs.clips.is_file():
        raise NotThereError(f"{inputs.clips}: no such file")
    with inputs.clips.open(newline="", encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if r["label"] in prepare.LABELS]
    found: dict[str, Any] = {}
    with Classifier(inputs.model, threads=1) as classifier:
        for row in rows:
            is_seen = inputs.has_learned_cameras and not prepare.is_kept_apart(row["group"])
            part = found.setdefault("learned" if is_seen else "strangers",
                                    {"n": 0, "rooms": 0, "right": 0, "unknown": {}, "wrong": {}})  # fmt: skip
            verdict = check(inputs.clips.parent / row["path"], classifier=classifier).verdict
            part["n"] += 1
            part["rooms"] += row["label"] == "indoor"
            if verdict.label.value == row["label"]:
                part["right"] += 1
            else:
                kind = "unknown" if verdict.label is Label.UNKNOWN else "wrong"
                part[kind][row["group"]] = f"{row['label']}: {verdict.reason}"
    return found


def baseline(inputs: Inputs) -> dict[str, Any]:
    examples = inputs.examples()
    if not inputs.scenes.is_file():
        raise NotThereError(f"{inputs.scenes}: no such file")
    p = _frozen(prepare.read_manifest(inputs.scenes), examples)
    scored = Scored.by(p, examples, inputs.card.thresholds)
    found = by_scope(scored, inputs)
    found.setdefault("all", judged(scored))  # it learned from no camera
    # One half is where a logistic regression decides; it has no thresholds to be judged by.
    return {scope: {k: v for k, v in part.items() if k not in ("verdicts", "slices")}
            for scope, part in found.items()}  # fmt: skip


def _frozen(train: prepare.Examples, test: prepare.Examples) -> NDArray[np.float64]:
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


def robustness(inputs: Inputs) -> dict[str, Any]:
    from scenecheck.evaluation.manifest import read_manifest
    from scenecheck.evaluation.stress import stress

    inputs.examples()
    manifest = read_manifest(inputs.manifest)
    if inputs.has_learned_cameras:
        strangers = tuple(e for e in manifest.examples if prepare.is_kept_apart(e.group))
        manifest = dataclasses.replace(manifest, examples=strangers)
    with Classifier(inputs.model, threads=1) as classifier:
        return stress(manifest, classifier, workers=inputs.workers).model_dump(mode="json")


def int8(inputs: Inputs) -> dict[str, Any]:
    from scenecheck.precision import int8_card_path
    from training import quantize

    path = int8_card_path(inputs.model)
    if not path.is_file():
        raise NotThereError(f"{path}: run training.quantize first")
    return {"sha256": load_card(path).sha256, **quantize.compare(inputs.model, inputs.manifest)}


def scope(inputs: Inputs) -> dict[str, Any]:
    from training import scope as novelty

    card, cctv = inputs.card, inputs.manifest.parent
    inputs.examples()
    if card.scope is None:
        raise NotThereError(f"{inputs.model}: scope: the card has none")
    return novelty.judged(
        (inputs.model.parent / card.file).read_bytes(), cctv, above=card.scope.novelty_above,
        temperature=card.temperature, thresholds=card.thresholds,
    )[0]  # fmt: skip


def view(inputs: Inputs) -> dict[str, Any]:
    from benchmarks import view as benchmark

    if inputs.model != card_path():
        raise NotThereError(f"{inputs.model}: the benchmark of views knows the bundled model only")
    inputs.examples()
    return benchmark.report()


PARTS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    f.__name__: f for f in (sources, recipe, cameras, clips, baseline, robustness, scope, int8, view)
}


# --- together ------------------------------------------------------------------------------------


def measured(inputs: Inputs, parts: list[str], known: dict[str, Any]) -> dict[str, Any]:
    """``known`` figures with ``parts`` measured anew; figures of another model are dropped."""
    sha256 = inputs.card.sha256
    found = known if known.get("model_sha256") == sha256 else {}
    found |= {"schema": SCHEMA, "model_sha256": sha256}
    for name in parts:
        began = time.monotonic()
        found.pop(name, None)
        try:
            found[name] = PARTS[name](inputs)
        except NotThereError as e:
            print(f"{name}: left out: {e}", file=sys.stderr)
            continue
        found.setdefault("seconds", {})[name] = round(time.monotonic() - began)
        print(f"{name}: {found['seconds'][name]} s", file=sys.stderr, flush=True)
    return found


def text(f: dict[str, Any], *, with_targets: bool) -> str:
    """Whatever figures there are as Markdown, under headings."""
    parts = {"Cameras": lambda: f"{tables.frames(f)}\n\n{tables.verdict_names(f)}",
             "Conditions": lambda: tables.slices(tables.main(f))} if tables.sides(f) else {}  # fmt: skip
    named = {"sources": tables.source_folds, "clips": tables.clips, "robustness": tables.robustness,
             "scope": tables.scope, "int8": tables.int8, "view": tables.view}  # fmt: skip
    parts |= {name.capitalize(): partial(table, f[name]) for name, table in named.items() if name in f}
    if with_targets:
        parts["Targets"] = lambda: targets.table(f)
    return "\n\n".join(f"## {title}\n\n{table()}" for title, table in parts.items())


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=RUN)
    ap.add_argument("--model", type=Path, help="card; default: the shipped one")
    ap.add_argument("--manifest", type=Path, default=DATA / "cctv" / "manifest.csv", help="cameras to judge")
    ap.add_argument("--scenes", type=Path, default=DATA / "scenes" / "manifest.csv", help="of the training")
    ap.add_argument("--clips", type=Path, default=DATA / "cctv" / "clips.csv")
    ap.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    ap.add_argument("--workers", type=int, default=2, help="threads of the robustness table")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--kept-apart", type=Path, metavar="OUT.csv", help="only write the manifest of the cameras that "
                    "no shipped net learns from, for `scenecheck eval`")  # fmt: skip
    a = ap.parse_args()
    if a.kept_apart:
        print(f"{a.kept_apart}: {prepare.write_kept_apart(a.manifest, a.kept_apart)} pictures")
        return
    cv2.setNumThreads(1)
    inputs = Inputs(a.run, card_path(a.model), a.manifest.resolve(), a.scenes.resolve(), a.clips.resolve(),
                    a.workers)  # fmt: skip
    out = a.run / "figures.json"
    is_own = inputs.manifest != DATA / "cctv" / "manifest.csv"
    known = json.loads(out.read_text(encoding="utf-8")) if out.is_file() and not is_own else {}
    found = measured(inputs, a.part, known)
    if a.run.is_dir() and not is_own:  # figures on another's cameras are not the model card's
        write_whole(out, json.dumps(found, indent=1) + "\n")
    shown = {k: v for k, v in found.items() if k in a.part or k not in PARTS}
    print(json.dumps(shown, indent=1) if a.json else text(shown, with_targets=not is_own))


if __name__ == "__main__":
    main()
