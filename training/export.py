"""Turn a training run into a model: graph, card, known answers, sample answers.

    python -m training.export [--run training/runs/shipped] [--out models]

Nothing is written before the new graph agrees with the net it was made from. The card has no figures yet:
`training.validate` measures them, `training.card` takes them over (`make model` does all of it).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from scenecheck import __version__
from scenecheck.classifier import Classifier, tile_sha256
from scenecheck.pictures import decode_picture
from scenecheck.preprocess import PREPROCESS_VERSION, TILE_SIZE, tiles
from training import novelty, scope
from training.calibrate import calibrated, sigmoid
from training.net import Net, imagenet_net

ROOT = Path(__file__).resolve().parent.parent
RUN = Path(__file__).resolve().parent / "runs" / "shipped"
SAMPLES = ROOT / "samples"
OUTPUTS = ("logits", "embedding", "cam")
# Two of each label, by day and by night: enough to notice a graph, a runtime or a machine that differs.
KNOWN = ("junction-1.jpg", "night-street-1.jpg", "bedroom-day-1.jpg", "bedroom-night-ir-1.jpg")
TOLERANCE_LOGIT = 0.01
MAX_EXPORT_ERROR = 1e-3


def trained(run: Path) -> Net:
    """The net of a training run, ready to judge."""
    net = imagenet_net()
    net.load_state_dict(torch.load(run / "model.pt", map_location="cpu", weights_only=True))
    return net.eval()


def graph(net: Net) -> bytes:
    """The net as ONNX with any batch size. Raises RuntimeError when it computes something else."""
    example = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, *TILE_SIZE), dtype=np.uint8))
    names = ["tiles", *OUTPUTS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            net,
            (example[:1],),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "n"} for name in names},
        )
        data = path.read_bytes()
    with torch.no_grad():
        wanted = net(example)
    found = ort.InferenceSession(data).run(list(OUTPUTS), {"tiles": example.numpy()})
    for name, a, b in zip(OUTPUTS, wanted, found, strict=True):
        error = float(np.abs(a.numpy() - b).max())
        if error > MAX_EXPORT_ERROR:
            raise RuntimeError(f"{name}: the graph differs from the net by {error}")
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def answers(data: bytes, batch: NDArray[np.uint8], temperature: float) -> list[dict[str, Any]]:
    """Tile hash, logits and probability of every tile."""
    logits = ort.InferenceSession(data).run(["logits"], {"tiles": batch})[0].astype(float)
    p = sigmoid((logits[:, 1] - logits[:, 0]) / temperature)
    return [
        {"tile_sha256": tile_sha256(t), "logits": [round(v, 6) for v in row], "p_indoor": round(float(q), 6)}
        for t, row, q in zip(batch, logits.tolist(), p, strict=True)
    ]


def write(run: Path, out: Path) -> Path:
    """Write graph, known answers and card into ``out``; return the card's path."""
    net, calibration, limits = trained(run), calibrated(run), scope.of_run(run)
    data = graph(net)
    if limits is not None:
        data = novelty.appended(data, limits.prototypes)
    temperature = float(calibration["temperature"])  # type: ignore[arg-type]
    pictures = {p.name: p.read_bytes() for p in sorted(SAMPLES.glob("*.jpg"))}
    batch = tiles([decode_picture(picture, name) for name, picture in pictures.items()])
    found = dict(zip(pictures, answers(data, batch, temperature), strict=True))
    out.mkdir(parents=True, exist_ok=True)
    (out / "scenecheck.onnx").write_bytes(data)
    known = np.stack([batch[list(pictures).index(name)] for name in KNOWN])
    np.savez_compressed(out / "known_answers.npz", tiles=known)
    h, w = TILE_SIZE
    cam = ort.InferenceSession(data).run(["cam"], {"tiles": known[:1]})[0].shape
    card = {
        "schema": "scenecheck/model-card/1",
        "name": "scenecheck-lite1",
        "version": __version__,
        "file": "scenecheck.onnx",
        "sha256": sha256(data),
        "input": {
            "name": "tiles",
            "dtype": "uint8",
            "layout": "NCHW",
            "height": h,
            "width": w,
            "colour": "rgb",
            "geometry": "stretch",
            "normalisation": "(x-127)/128 in the graph",
            "preprocess_version": PREPROCESS_VERSION,
        },
        "outputs": {"logits": [2], "embedding": [net.tail.head.in_features], "cam": list(cam[1:])},
        "labels": ["street", "indoor"],
        "temperature": temperature,
        "thresholds": calibration["thresholds"],
        **({} if limits is None else {"scope": {"novelty_above": limits.novelty_above}}),
        "known_answers": {
            "file": "known_answers.npz",
            "sha256": sha256((out / "known_answers.npz").read_bytes()),
            "tolerance_logit": TOLERANCE_LOGIT,
            "answers": [{"name": f"samples/{name}", **found[name]} for name in KNOWN],
        },
        "samples": [
            {"path": f"samples/{name}", "picture_sha256": sha256(picture), **found[name]}
            for name, picture in pictures.items()
        ],
        "training": {
            **json.loads((run / "train.json").read_text(encoding="utf-8")),
            "calibration": calibration["held_out"],
            "licences": "several sources allow research or non-commercial use only, most state none: models/README.md",
        },
        "figures": {},
    }
    path = out / "scenecheck.json"
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return path


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=RUN)
    ap.add_argument("--out", type=Path, default=ROOT / "models")
    a = ap.parse_args()
    path = write(a.run, a.out)
    with Classifier(path) as classifier:
        print(f"{path}: {classifier.card.name}, known answers within {classifier.worst_answer:.1e}")


if __name__ == "__main__":
    main()
