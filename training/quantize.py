"""The int8 model beside the fp32 one: static QDQ, uint8 activations, int8 weights per channel.

    python -m training.quantize               write models/scenecheck-int8.onnx and its card
    python -m training.quantize --compare     fp32 and int8 side by side: size, time, verdicts, AUROC

Calibration (`PERCENTILE` of the activations) sees `N_CALIBRATION` pictures of `scenes`, half of them through the
augmentation of the training; where they are not at hand, the samples, with a notice. The normalisation at the
head of the graph, the first `N_FLOAT_CONVS` convolutions, the head and the maps stay in float. Weights use the
full range: x86 without VNNI would saturate (margins off by up to 1.3 with the instructions hidden from the
runtime), so there the session asks for `session.x64quantprecision`, which gave VNNI's logits to the bit;
`reduce_range` loses twice as much everywhere.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from scenecheck.card import Card, load_card
from scenecheck.classifier import Classifier
from scenecheck.pictures import decode_picture
from scenecheck.precision import MAX_INT8_SHIFT, int8_card_path
from scenecheck.preprocess import tiles
from scenecheck.runtime import session_options
from scenecheck.types import Sighting, Thresholds
from scenecheck.verdict import judge
from training import prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Tiles = NDArray[np.uint8]

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
CARD = ROOT / "models" / "scenecheck.json"
SEED = 9
N_CALIBRATION = 96
PERCENTILE = 99.99
N_FLOAT_CONVS = 2
"""The stem and the depthwise convolution behind it: few products, but their 32 channels differ so in range that
one scale for all cost half of the whole error (root mean square of the margins 0.24 with them, 0.14 without)."""
N_SLOPE = 100
"""Further pictures, not calibrated on, that tell how int8 stretches the margins."""

QUANTISED = ("Conv", "Clip", "Relu", "Add")
TOLERANCE_LOGIT = 0.1
"""Integers agree to the bit, but a rounding of scales may differ between kernels; saturation moves far more."""

MAX_BYTES = 6_000_000
ROUNDS = 7


# --- calibration pictures ------------------------------------------------------------------------


def calibration_tiles(n: int, *, scenes: Path, samples: Path, seed: int = SEED) -> Tiles:
    """``uint8 [n, 3, H, W]``: as many rooms as streets, every second one as a strange camera shows it."""
    manifest = scenes / "manifest.csv"
    if manifest.is_file():
        examples, rng = prepare.read_manifest(manifest), np.random.default_rng(seed)
        rows = [rng.permutation(np.flatnonzero(examples.label == y)) for y in (0, 1)]
        chosen = np.stack([r[: (n + 1) // 2] for r in rows], 1).ravel()[:n]
        paths = [examples.root / examples.path[i] for i in chosen]
    else:
        print(f"{manifest} is not there: calibrating on {samples}", file=sys.stderr)
        found = sorted(samples.glob("*.jpg"))
        if not found:
            raise FileNotFoundError(f"{samples}: no picture to calibrate on")
        paths = [found[i % len(found)] for i in range(n)]
    # Two of a pair (street, room) share their view number, so both classes are augmented alike.
    return np.stack(
        [
            prepare.view(prepare.read_rgb(p), row=i, number=(i // 2) % 2, seed=seed)
            for i, p in enumerate(paths)
        ]
    )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batch: Tiles) -> None:
        self._left: Iterator[Tiles] = iter(np.split(batch, range(8, len(batch), 8)))

    def get_next(self) -> dict[str, Tiles] | None:
        part = next(self._left, None)
        return None if part is None else {"tiles": part}


# --- the graph -----------------------------------------------------------------------------------


def float_nodes(graph: onnx.GraphProto, n_first: int) -> list[str]:
    """Names of what stays in float: the ``n_first`` convolutions, and all between the features and the outputs."""
    maker = {name: node for node in graph.node for name in node.output}
    kept, todo = [], [o.name for o in graph.output]
    while todo:
        node = maker.get(todo.pop())
        if node is None or node.op_type in {"Clip", "Relu"}:
            continue
        kept.append(node.name)
        todo += node.input
    return kept + [node.name for node in graph.node if node.op_type == "Conv"][:n_first]


def fold_pads(model: onnx.ModelProto) -> int:
    """Move constant zero padding into the convolutions behind it, in place; how many.

    A `Pad` between two quantised nodes runs in float on the largest maps; in a quantised convolution it is free.
    """
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    users: dict[str, int] = {}
    for name in (name for node in graph.node for name in node.input):
        users[name] = users.get(name, 0) + 1
    makers, folded = {node.output[0]: node for node in graph.node}, []
    for conv in graph.node:
        pad = makers.get(conv.input[0]) if conv.op_type == "Conv" else None
        if pad is None or pad.op_type != "Pad" or pad.input[1] not in constants or users[pad.output[0]] > 1:
            continue
        filler = (
            constants.get(pad.input[2], np.float32(1))
            if len(pad.input) > 2 and pad.input[2]
            else np.float32(0)
        )
        pads = constants[pad.input[1]].tolist()
        own = {a.name: a for a in conv.attribute}.get("pads")
        if (
            float(filler)
            or len(pads) != 8
            or any(pads[i] for i in (0, 1, 4, 5))
            or (len(pad.input) > 3 and pad.input[3])
        ):
            continue
        wanted = [*pads[2:4], *pads[6:8]]
        if own is None:
            conv.attribute.append(helper.make_attribute("pads", wanted))
        else:
            own.ints[:] = [a + b for a, b in zip(own.ints, wanted, strict=True)]
        conv.input[0] = pad.input[0]
        folded.append(pad)
    for pad in folded:
        graph.node.remove(pad)
    return len(folded)


def quantised(
    fp32: bytes, batch: Tiles, *, n_float_convs: int = N_FLOAT_CONVS, reduce_range: bool = False
) -> bytes:
    """The int8 graph of a float one, calibrated on ``batch`` ``uint8 [n, 3, H, W]``."""
    with tempfile.TemporaryDirectory() as folder:
        plain, folded, out = (Path(folder) / f"{name}.onnx" for name in ("plain", "folded", "int8"))
        plain.write_bytes(fp32)
        # Folds the exporter's padding arithmetic into constants; without it `Pad` gets no scale.
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        model = onnx.load(folded)
        fold_pads(model)
        for i, node in enumerate(model.graph.node):
            node.name = node.name or f"node {i}"  # nodes are left in float by name
        onnx.save(model, folded)
        quantize_static(
            folded,
            out,
            _Reader(batch),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=float_nodes(model.graph, n_float_convs),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )
        return out.read_bytes()


def run(model: bytes, batch: Tiles, *, outputs: tuple[str, ...] = ("logits",)) -> list[NDArray[np.float32]]:
    """Outputs of a graph in batches of 16, by the options the product uses."""
    session = ort.InferenceSession(model, session_options(1), providers=["CPUExecutionProvider"])
    parts = [session.run(list(outputs), {"tiles": p}) for p in np.split(batch, range(16, len(batch), 16))]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def slope(fp32: NDArray[np.float32], int8: NDArray[np.float32]) -> float:
    """How much longer int8's margins are: least squares through zero of logits ``[n, 2]``."""
    a, b = (x[:, 1].astype(float) - x[:, 0] for x in (fp32, int8))
    return float(a @ b / (a @ a))


# --- the card ------------------------------------------------------------------------------------


def int8_card(
    fp32: dict[str, Any], model: bytes, *, file: str, tiles_known: Tiles, samples: Path
) -> dict[str, Any]:
    """The card of ``model``: fp32's, with its own hash, answers and temperature.

    ``fp32`` is the fp32 card as JSON, with ``temperature`` already int8's.
    """
    from training.export import answers, sha256

    card = copy.deepcopy(fp32)
    name = str(card["name"])
    card.update(name=f"{name}-int8", file=file, sha256=sha256(model), precision="int8", figures={})
    known = card["known_answers"]
    known["tolerance_logit"] = TOLERANCE_LOGIT
    found = answers(model, tiles_known, card["temperature"])
    known["answers"] = [{**old, **new} for old, new in zip(known["answers"], found, strict=True)]
    listed = card.get("samples", [])
    if listed:
        pictures = [(samples / Path(s["path"]).name).read_bytes() for s in listed]
        batch = tiles([decode_picture(p, s["path"]) for p, s in zip(pictures, listed, strict=True)])
        found = answers(model, batch, card["temperature"])
        for old, new in zip(listed, found, strict=True):
            if old["tile_sha256"] != new["tile_sha256"]:
                raise RuntimeError(f"{old['path']}: not the tile of the fp32 card; export that one anew")
            old.update(new)
    return card


def write(card_path: Path, batch: Tiles, spare: Tiles, *, samples: Path = ROOT / "samples") -> Path:
    """Write graph and card beside the fp32 ones; return the card's path.

    ``spare`` are tiles not in ``batch``: they tell the slope of the margins, by which the temperature grows,
    since the folds that calibrated fp32 exist in no int8 form. Raises RuntimeError before anything is written
    when the graph is too large.
    """
    fp32: dict[str, Any] = json.loads(card_path.read_text(encoding="utf-8"))
    source = (card_path.parent / fp32["file"]).read_bytes()
    model = quantised(source, batch)
    if len(model) > MAX_BYTES:
        raise RuntimeError(f"the int8 graph has {len(model)} bytes, more than {MAX_BYTES}")
    stretch = slope(run(source, spare)[0], run(model, spare)[0])
    out = int8_card_path(card_path)
    card = {**fp32, "temperature": round(fp32["temperature"] * stretch, 6)}
    if "scope" in fp32:
        a, b = (run(graph, spare, outputs=("novelty",))[0] for graph in (source, model))
        moved = fp32["scope"]["novelty_above"] + float(np.median(b - a))
        card["scope"] = {**fp32["scope"], "novelty_above": round(moved, 4)}
    with np.load(card_path.parent / fp32["known_answers"]["file"]) as archive:
        known = archive["tiles"]
    card = int8_card(card, model, file=out.with_suffix(".onnx").name, tiles_known=known, samples=samples)
    card["quantisation"] = {
        "of": fp32["sha256"], "format": "QDQ, uint8 activations, int8 weights per channel, MinMax",
        "pictures": len(batch), "seed": SEED, "margin_slope": round(stretch, 4),
        "onnxruntime": ort.__version__,
    }  # fmt: skip
    Card.model_validate(card)
    out.with_suffix(".onnx").write_bytes(model)
    out.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return out


# --- the comparison ------------------------------------------------------------------------------


def verdicts(p: NDArray[np.float64], groups: NDArray[np.str_], thresholds: Thresholds) -> dict[str, str]:
    """Label of every camera over all its frames, by the product's rule."""
    return {
        str(g): judge(
            [Sighting(float(i), float(v)) for i, v in enumerate(p[groups == g])], thresholds
        ).label.value
        for g in np.unique(groups)
    }


def seconds(classifiers: Iterable[Classifier], batch: int) -> list[list[float]]:
    """Seconds a picture of each classifier, `ROUNDS` each, in turns so that a busy neighbour slows all alike."""
    classifiers = list(classifiers)
    spec = classifiers[0].card.input
    some = np.random.default_rng(0).integers(0, 256, (batch, 3, spec.height, spec.width), dtype=np.uint8)
    found: list[list[float]] = [[] for _ in classifiers]
    for _ in range(ROUNDS):
        for classifier, times in zip(classifiers, found, strict=True):
            classifier.score(some)
            n = max(1, 16 // batch)
            start_s = time.thread_time()
            for _ in range(n):
                classifier.score(some)
            times.append((time.thread_time() - start_s) / (n * batch))
    return found


def compare(card_path: Path, manifest: Path) -> dict[str, Any]:
    """Size, CPU time a picture (one thread), and on a manifest: AUROC, p_indoor and verdicts of cameras."""
    with Classifier(card_path, threads=1) as fp32, Classifier(card_path, precision="int8", threads=1) as int8:
        if int8.fallback:
            raise RuntimeError(f"int8 was not taken: {int8.fallback}")
        found: dict[str, Any] = {
            "bytes": {c.precision: c.model_path.stat().st_size for c in (fp32, int8)},
            "time": {},
            "known_answers_worst_shift_p": worst_shift(fp32.card, int8.card),
        }
        for n in (1, 32):
            a, b = seconds((fp32, int8), n)
            found["time"][str(n)] = {
                "fp32_ms": round(statistics.median(a) * 1e3, 2), "int8_ms": round(statistics.median(b) * 1e3, 2),
                "ratio": round(statistics.median(y / x for x, y in zip(a, b, strict=True)), 3),
            }  # fmt: skip
        if manifest.is_file():
            found["pictures"] = _judged(fp32, int8, prepare.read_manifest(manifest))
    return found


def worst_shift(fp32: Card, int8: Card) -> float:
    """Largest difference of p_indoor on the known answers, which every host compares (`precision.disagreement`)."""
    pairs = zip(fp32.known_answers.answers, int8.known_answers.answers, strict=True)
    return round(max(abs(a.p_indoor - b.p_indoor) for a, b in pairs), 4)


def _judged(fp32: Classifier, int8: Classifier, examples: prepare.Examples) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    batch = np.stack([prepare.to_tile(prepare.read_rgb(examples.root / p)) for p in examples.path])
    p = [c.score(batch).p_indoor for c in (fp32, int8)]
    said = [verdicts(v, examples.group, c.card.thresholds) for v, c in zip(p, (fp32, int8), strict=True)]
    auroc = [round(float(roc_auc_score(examples.label, v)), 5) for v in p]
    return {
        "frames": len(examples),
        "cameras": len(said[0]),
        "auroc": {"fp32": auroc[0], "int8": auroc[1], "difference": round(auroc[1] - auroc[0], 5)},
        "p_shift": {
            "mean": round(float(np.abs(p[1] - p[0]).mean()), 4),
            "max": round(float(np.abs(p[1] - p[0]).max()), 4),
        },
        "verdicts_that_differ": {g: [said[0][g], said[1][g]] for g in said[0] if said[0][g] != said[1][g]},
    }


def table(found: dict[str, Any]) -> str:
    """The comparison as Markdown."""
    size = found["bytes"]
    lines = ["| | fp32 | int8 | target |", "|---|---|---|---|"]
    lines.append(f"| size, MB | {size['fp32'] / 1e6:.1f} | {size['int8'] / 1e6:.1f} | ≤ 6 |")
    for n, target in (("1", 0.45), ("32", 0.55)):
        t = found["time"][n]
        lines.append(
            f"| CPU ms a picture, batch {n}, one thread | {t['fp32_ms']} | {t['int8_ms']} (ratio {t['ratio']}) "
            f"| ratio ≤ {target} |"
        )
    if "pictures" in found:
        p = found["pictures"]
        differ = ", ".join(f"{g}: {a} → {b}" for g, (a, b) in p["verdicts_that_differ"].items()) or "none"
        lines += [
            f"| AUROC, {p['frames']} stills | {p['auroc']['fp32']} | {p['auroc']['int8']} | within 0.001 |",
            f"| shift of p_indoor, mean (max) | | {p['p_shift']['mean']} ({p['p_shift']['max']}) | |",
            f"| verdicts that differ, of {p['cameras']} cameras | | {differ} | none |",
        ]
    return "\n".join(lines)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--compare", action="store_true", help="compare the models that lie there; write nothing")
    ap.add_argument("--card", type=Path, default=CARD, help="of the fp32 model")
    ap.add_argument("--scenes", type=Path, default=DATA / "scenes")
    ap.add_argument("--manifest", type=Path, default=DATA / "cctv" / "manifest.csv", help="to compare on")
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    if a.compare:
        found = compare(a.card, a.manifest)
        print(json.dumps(found, indent=1) if a.json else table(found))
        return
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser's advice is about options set above
    cv2.setNumThreads(1)
    pictures = calibration_tiles(N_CALIBRATION + N_SLOPE, scenes=a.scenes, samples=ROOT / "samples")
    path = write(a.card, pictures[:N_CALIBRATION], pictures[N_CALIBRATION:])
    shift = worst_shift(load_card(a.card), load_card(path))
    print(
        f"{path}: {path.with_suffix('.onnx').stat().st_size} bytes, p_indoor of fp32's answers within {shift}"
    )
    if shift > MAX_INT8_SHIFT:
        raise SystemExit(f"more than {MAX_INT8_SHIFT}: `--precision int8` might refuse it")


if __name__ == "__main__":
    main()
