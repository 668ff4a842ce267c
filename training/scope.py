"""Out of scope: drawings, screens, test cards and covered lenses are neither street nor room.

    python -m training.scope                               fit to RUN's net, write RUN/scope.npz, print figures
    python -m training.scope --compare                     beside other ways from the literature
    python -m training.scope --model models/scenecheck-int8.json    judge a model as it ships; write nothing

The score is one minus the cosine between a picture's embedding (square roots, unit length) and the nearest of
`novelty.N_PROTOTYPES` centres of the training pictures. Fitted are the centres, to all training pictures, and the
limit: of the pictures of sources that the centres have not seen, `HELD_OUT_REJECTED` lie above. Neither the
cameras nor the drawn pictures that it is judged on are fitted to.

`novelty.appended` computes the score inside any ONNX graph with an ``embedding``, as its output ``novelty``. Fit again
for every new net: `training.export` refuses a fit that belongs to another one.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from scenecheck.card import load_card
from scenecheck.conditions import conditions
from scenecheck.evaluation import metrics
from scenecheck.runtime import session_options
from scenecheck.types import Thresholds
from training import drawn, novelty, prepare

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUN = HERE / "runs" / "shipped"
DATA = ROOT.parent / "shared" / "data"

HELD_OUT_REJECTED = 0.002
"""A street above the limit costs a feed, a drawing below it nothing by itself: it still has to look like a street."""

N_FOLDS = 3
N_DRAWN = 40
BATCH = 16
Tiles = NDArray[np.uint8]


# --- the fit -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scope:
    """Centres ``float32 [n, D]``, the novelty above which a picture is out of scope, and whose fit it is."""

    prototypes: NDArray[np.float32]
    novelty_above: float
    model_sha256: str
    """SHA-256 of RUN/model.pt."""

    def save(self, path: Path) -> None:
        with path.open("wb") as f:
            np.savez(
                f,
                prototypes=self.prototypes,
                novelty_above=self.novelty_above,
                model_sha256=self.model_sha256,
            )

    @classmethod
    def load(cls, path: Path) -> Scope:
        with np.load(path) as held:
            return cls(held["prototypes"], float(held["novelty_above"]), str(held["model_sha256"]))


def held_out_novelty(
    embedding: novelty.Floats,
    label: NDArray[np.int64],
    fold: NDArray[np.int64],
    fit: Any = novelty.prototypes,
) -> NDArray[np.float64]:
    """Novelty ``float64 [N]`` of every picture by a fit that saw nothing of its fold."""
    found = np.zeros(len(embedding))
    for k in np.unique(fold):
        found[fold == k] = fit(embedding[fold != k], label[fold != k])(embedding[fold == k])
    return found


def limit(held_out: NDArray[np.float64], share: float = HELD_OUT_REJECTED) -> float:
    """The novelty that at most ``share`` of pictures in scope exceed."""
    return round(float(np.quantile(held_out, 1 - share, method="higher")), 4)


def fitted(
    embedding: novelty.Floats, label: NDArray[np.int64], fold: NDArray[np.int64], sha256: str
) -> Scope:
    return Scope(novelty.centres(embedding), limit(held_out_novelty(embedding, label, fold)), sha256)


def of_run(run: Path) -> Scope | None:
    """The fit of a run's net, None where there is none. Raises RuntimeError when it is another net's."""
    path = run / "scope.npz"
    if not path.is_file():
        return None
    scope = Scope.load(path)
    if scope.model_sha256 != digest(run / "model.pt"):
        raise RuntimeError(f"{path} was fitted to another net: run `python -m training.scope --run {run}`")
    return scope


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- pictures to judge it on ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Seen:
    """What a graph says of N pictures: ``logits [N, 2]``, ``embedding [N, D]`` and, if it has one, ``novelty [N]``."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    novelty: NDArray[np.float64] | None = None


def seen_by(model: bytes, tiles: Iterable[Tiles], *, threads: int = 1) -> Seen:
    session = ort.InferenceSession(model, session_options(threads), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs() if o.name in ("logits", "embedding", "novelty")]
    parts = [session.run(names, {"tiles": np.stack(some)}) for some in _batches(tiles)]
    held = dict(zip(names, (np.concatenate(v) for v in zip(*parts, strict=True)), strict=True))
    found = held.get("novelty")
    return Seen(held["logits"], held["embedding"], None if found is None else found.astype(np.float64))


def _batches(tiles: Iterable[Tiles]) -> Iterator[list[Tiles]]:
    some: list[Tiles] = []
    for tile in tiles:
        some.append(tile)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some


def of_manifest(examples: prepare.Examples) -> Iterator[Tiles]:
    return (prepare.to_tile(prepare.read_rgb(examples.root / p)) for p in examples.path)


def no_places(cctv: Path) -> tuple[list[str], list[Tiles]]:
    """Kinds and tiles of pictures that are no street and no room: drawn ones, and `ambiguous.csv` if there."""
    kinds = [kind for kind in drawn.KINDS for _ in range(N_DRAWN)]
    found = [prepare.to_tile(drawn.picture(kind, i)) for kind in drawn.KINDS for i in range(N_DRAWN)]
    listing = cctv / "ambiguous.csv"
    if listing.is_file():
        with listing.open(newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                kinds.append(
                    f"({'camera trap' if row['group'].startswith('mega') else 'between in and out'})"
                )
                found.append(prepare.to_tile(prepare.read_rgb(cctv / row["path"])))
    return kinds, found


def is_unfit_already(tiles: Iterable[Tiles]) -> NDArray[np.bool_]:
    """Which tiles `scenecheck.conditions` discards before any model."""
    once = {"damaged": [False], "stale": [False], "live": [False], "at_s": [0.0]}
    return np.array([bool(conditions(t[None], **once)[0]) for t in tiles])  # type: ignore[arg-type]


# --- figures -------------------------------------------------------------------------------------


def figures(
    in_scope: NDArray[np.float64], examples: prepare.Examples, strange: NDArray[np.float64], kinds: list[str],
    unfit: NDArray[np.bool_], said: NDArray[np.str_], above: float,
) -> dict[str, Any]:  # fmt: skip
    """False rejections among cameras, by name; per kind what remains and what the model would say of it.

    ``said`` holds the label of single frames by the card's thresholds. Kinds in brackets are no drawings.
    """
    kind = np.array(kinds)
    is_drawn = ~np.char.startswith(kind, "(")
    rejected = in_scope > above
    lost = {
        str(g): f"{int(rejected[examples.group == g].sum())} of {int((examples.group == g).sum())}"
        for g in np.unique(examples.group[rejected])
    }
    is_dark = np.array(
        [bool({"night", "ir", "rain", "fog", "snow"} & set(f.split())) for f in examples.flags]
    )
    rows = {}
    for k in dict.fromkeys(kinds):
        of, left = kind == k, (kind == k) & ~unfit
        rows[k] = {
            "pictures": int(of.sum()), "unfit_already": int((of & unfit).sum()),
            "auroc": round(_auroc(in_scope, strange[of]), 4),
            "rejected_of_the_rest": round(float((strange[left] > above).mean()), 3) if left.any() else None,
            "street_before": int((left & (said == "street")).sum()),
            "street_after": int((left & (said == "street") & (strange <= above)).sum()),
        }  # fmt: skip
    left = is_drawn & ~unfit
    return {
        "novelty_above": above,
        "cameras": {
            "frames": len(in_scope), "rejected": int(rejected.sum()), "by_camera": lost,
            "rooms": int(rejected[examples.label == 1].sum()), "night_ir_rain_fog_snow": int(rejected[is_dark].sum()),
            "nearest_to_the_limit": round(float(np.quantile(in_scope, 0.99)), 4),
        },
        "drawn": {
            "pictures": int(is_drawn.sum()), "fit_for_the_model": int(left.sum()),
            "auroc": round(_auroc(in_scope, strange[left]), 4),
            "rejected": round(float((strange[left] > above).mean()), 4),
            "called_street_before": int((left & (said == "street")).sum()),
            "called_street_after": int((left & (said == "street") & (strange <= above)).sum()),
        },
        "kinds": rows,
    }  # fmt: skip


def _auroc(in_scope: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    truth = np.r_[np.zeros(len(in_scope), np.int64), np.ones(len(strange), np.int64)]
    return metrics.auroc(np.r_[in_scope, strange], truth)


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    cameras, all_drawn = found["cameras"], found["drawn"]
    by_camera = ", ".join(f"{g} {n}" for g, n in cameras["by_camera"].items()) or "none"
    sentences = (
        f"Limit {found['novelty_above']}. Cameras: {cameras['rejected']} of {cameras['frames']} frames rejected "
        f"({by_camera}; rooms {cameras['rooms']}, night, IR, rain, fog and snow {cameras['night_ir_rain_fog_snow']}).\n"
        f"Drawn: AUROC {all_drawn['auroc']} against the cameras, {all_drawn['rejected']:.1%} of the "
        f"{all_drawn['fit_for_the_model']} that other conditions let through rejected; called street "
        f"{all_drawn['called_street_before']} before, {all_drawn['called_street_after']} after.\n"
    )
    head = "| kind | pictures | unfit already | AUROC | rejected of the rest | called street: before, after |"
    lines = [sentences, head, "|---|---|---|---|---|---|"]
    for kind, r in found["kinds"].items():
        share = "" if r["rejected_of_the_rest"] is None else f"{r['rejected_of_the_rest']:.0%}"
        lines.append(
            f"| {kind} | {r['pictures']} | {r['unfit_already']} | {r['auroc']:.4f} | {share} "
            f"| {r['street_before']}, {r['street_after']} |"
        )
    return "\n".join(lines)


def comparison(
    train: Seen, examples: prepare.Examples, cctv: Seen, strange: Seen, left: NDArray[np.bool_]
) -> str:
    """Other scores beside ours, each with its limit by the same rule."""
    fold = prepare.folds(examples, N_FOLDS, by_source=True)
    lines = ["| score | AUROC, cameras | frames rejected | drawn rejected |", "|---|---|---|---|"]

    def row(name: str, held_out: Any, of_cctv: Any, of_strange: Any) -> None:
        above = float(np.quantile(held_out, 1 - HELD_OUT_REJECTED))
        lines.append(
            f"| {name} | {_auroc(of_cctv, of_strange[left]):.4f} | {(of_cctv > above).mean():.2%} "
            f"| {(of_strange[left] > above).mean():.1%} |"
        )

    for name, fit in novelty.METHODS.items():
        held_out = held_out_novelty(train.embedding, examples.label, fold, fit)
        score = fit(train.embedding, examples.label)
        row(name, held_out, score(cctv.embedding), score(strange.embedding))
    row("energy", *(novelty.energy(s.logits) for s in (train, cctv, strange)))
    return "\n".join(lines)


# --- the command ---------------------------------------------------------------------------------


def _seen_training(model: bytes, examples: prepare.Examples, cache: Path, threads: int) -> Seen:
    """What the graph says of the training pictures (a minute or two), kept in ``cache``."""
    key = hashlib.sha256(model + examples.digest().encode()).hexdigest()[:16]
    path = cache / f"seen-{key}.npz"
    if path.is_file():
        with np.load(path) as held:
            return Seen(held["logits"], held["embedding"])
    seen = seen_by(model, of_manifest(examples), threads=threads)
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, logits=seen.logits, embedding=seen.embedding)
    part.rename(path)
    return seen


def labels_of(logits: NDArray[np.float32], temperature: float, thresholds: Thresholds) -> NDArray[np.str_]:
    """Label of each picture alone, by its logits ``[N, 2]``."""
    p = 1 / (1 + np.exp((logits[:, 0] - logits[:, 1]).astype(np.float64) / temperature))
    return np.where(
        p <= thresholds.street_below, "street", np.where(p >= thresholds.indoor_above, "indoor", "unknown")
    )


def judged(
    model: bytes, cctv: Path, *, above: float, temperature: float, thresholds: Thresholds, threads: int = 1
) -> tuple[dict[str, Any], Seen, Seen, NDArray[np.bool_]]:
    """`figures` of a graph with an output ``novelty``; what it says of the cameras and of pictures that are no
    places, and which of these are drawn and fit for a model."""
    cameras = prepare.read_manifest(cctv / "manifest.csv")
    kinds, tiles = no_places(cctv)
    seen, strange = (seen_by(model, t, threads=threads) for t in (of_manifest(cameras), tiles))
    if seen.novelty is None or strange.novelty is None:
        raise ValueError("expected a graph with an output novelty")
    unfit = is_unfit_already(tiles)
    said = labels_of(strange.logits, temperature, thresholds)
    found = figures(seen.novelty, cameras, strange.novelty, kinds, unfit, said, above)
    return found, seen, strange, ~np.char.startswith(kinds, "(") & ~unfit


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=RUN)
    ap.add_argument("--model", type=Path, help="card to judge as it is, instead of fitting")
    ap.add_argument(
        "--manifest", type=Path, default=DATA / "scenes" / "manifest.csv", help="training pictures"
    )
    ap.add_argument("--cctv", type=Path, default=DATA / "cctv", help="cameras to judge on")
    ap.add_argument("--cache", type=Path, default=HERE / ".cache")
    ap.add_argument("--compare", action="store_true", help="beside other ways from the literature")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    cv2.setNumThreads(1)
    examples = prepare.read_manifest(a.manifest)
    if a.model is None:
        from training import calibrate, export

        data, calibration = export.graph(export.trained(a.run)), calibrate.calibrated(a.run)
        temperature, thresholds = float(calibration["temperature"]), Thresholds(**calibration["thresholds"])
        train = _seen_training(data, examples, a.cache, a.threads)
        fold = prepare.folds(examples, N_FOLDS, by_source=True)
        scope = fitted(train.embedding, examples.label, fold, digest(a.run / "model.pt"))
        scope.save(a.run / "scope.npz")
        data, above = novelty.appended(data, scope.prototypes), scope.novelty_above
    else:
        card = load_card(a.model)
        if card.scope is None:
            raise SystemExit(f"{a.model}: scope: the card has none")
        data, above = (a.model.parent / card.file).read_bytes(), card.scope.novelty_above
        temperature, thresholds = card.temperature, card.thresholds
    if not (a.cctv / "manifest.csv").is_file():
        print(f"limit {above}; no figures: {a.cctv / 'manifest.csv'} is not there", file=sys.stderr)
        return
    found, seen, strange, left = judged(
        data, a.cctv, above=above, temperature=temperature, thresholds=thresholds, threads=a.threads
    )
    print(json.dumps(found, indent=1) if a.json else table(found))
    if a.compare:
        train = _seen_training(data, examples, a.cache, a.threads)
        print("\n" + comparison(train, examples, seen, strange, left))


if __name__ == "__main__":
    main()
