"""Fine-tune EfficientNet-Lite0 to tell interiors from streets, on two CPU cores.

    python -m training.train                                  # as the shipped model was made
    python -m training.train --manifest my/manifest.csv --out my/run

1. Views: every picture as it is, plus five as strange cameras would deliver it (`training.augment`). The
   frozen front half of the net turns each into features once (`training.prepare`, cached).
2. Linear probe: logistic regression on the frozen embedding. Starting from a good head keeps fine-tuning
   from tearing the features apart (Kumar et al., 2022, "Fine-tuning can distort pretrained features").
3. Fine-tune the back half: few steps, low rate, an exponential moving average, several seeds.
4. Average the seeds' weights (Wortsman et al., 2022, "Model soups") and then the start with the result
   ("Robust fine-tuning of zero-shot models", WiSE-FT). Plain fine-tuning ranks strangers' cameras worse
   the longer it runs; the averages do not.

Steps 2 to 4 run first on folds that hold out whole sources: the scores of pictures from sources the net
never saw are what `training.calibrate` sets temperature and thresholds on.

Writes OUT/model.pt (weights, configuration, data digest), OUT/held_out.npz and OUT/train.json.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from training import prepare
from training.net import Tail, imagenet_net

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"


@dataclass(frozen=True)
class Config:
    """Everything that decides the result, saved with it."""

    seeds: tuple[int, ...] = (0, 1, 2)
    n_views: int = 6
    n_folds: int = 3
    probe_c: float = 1e-3  # inverse L2 strength of the logistic regression on standardised embeddings
    steps: int = 180
    batch: int = 32
    rate: float = 1e-4
    warm_up: int = 30
    weight_decay: float = 1e-4
    smoothing: float = 0.05  # of labels: about one in a hundred is wrong
    dropout: float = 0.2
    ema: float = 0.99
    alpha: float = 0.5  # share of the fine-tuned weights in the final average


Views = list[NDArray[np.float16]]  # per view, float16 [N, 112, 12, 20]


def as_batch(features: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(features.astype(np.float32)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def run(tail: Tail, features: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Margin ``float32 [N]`` (indoor minus street logit) and embedding ``float32 [N, 1280]``."""
    margins, embeddings = [], []
    for at in range(0, len(features), 64):
        logits, embedding, _ = tail(as_batch(features[at : at + 64]))
        margins.append((logits[:, 1] - logits[:, 0]).numpy())
        embeddings.append(embedding.numpy())
    return np.concatenate(margins), np.concatenate(embeddings)


# --- the three steps -----------------------------------------------------------------------------


def probed(
    tail: Tail,
    embedding: NDArray[np.float32],
    label: NDArray[np.int64],
    weight: NDArray[np.float32],
    c: float,
) -> Tail:
    """``tail`` with a head from logistic regression, the standardisation folded into it."""
    mean, spread = embedding.mean(0), embedding.std(0) + 1e-6
    fit = LogisticRegression(C=c, max_iter=500).fit((embedding - mean) / spread, label, sample_weight=weight)
    direction = fit.coef_[0] / spread
    bias = fit.intercept_[0] - direction @ mean
    tail = copy.deepcopy(tail)
    with torch.no_grad():  # both logits carry half, so neither class has a favoured scale
        tail.head.weight.copy_(torch.tensor(np.stack([-direction, direction]) / 2))
        tail.head.bias.copy_(torch.tensor([-bias / 2, bias / 2]))
    return tail


def fine_tuned(
    start: Tail,
    views: Views,
    label: NDArray[np.int64],
    weight: NDArray[np.float32],
    config: Config,
    seed: int,
) -> Tail:
    """Moving average of ``start`` fine-tuned on random views; rows of weight 0 are never seen."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tail, average = copy.deepcopy(start), copy.deepcopy(start)
    optimiser = torch.optim.AdamW(tail.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    chance = weight.astype(np.float64) / weight.sum(dtype=np.float64)
    for step in range(1, config.steps + 1):
        cosine = 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        optimiser.param_groups[0]["lr"] = config.rate * min(1.0, step / config.warm_up) * cosine
        rows = rng.choice(len(label), config.batch, p=chance)
        number = rng.integers(0, len(views), config.batch)
        x = as_batch(np.stack([views[v][i] for v, i in zip(number, rows, strict=True)]))
        y = torch.from_numpy(label[rows]).float() * (1 - 2 * config.smoothing) + config.smoothing
        logits = tail.head(F.dropout(tail.maps(x).mean((2, 3)), config.dropout))
        loss = F.binary_cross_entropy_with_logits(logits[:, 1] - logits[:, 0], y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay = min(config.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for a, p in zip(average.parameters(), tail.parameters(), strict=True):
                a.lerp_(p, 1 - decay)
    return average


def averaged(tails: list[Tail], shares: list[float]) -> Tail:
    """The net whose weights are the weighted mean of the nets' weights; shares add up to 1."""
    out = copy.deepcopy(tails[0])
    with torch.no_grad():
        for target, *parts in zip(out.parameters(), *(t.parameters() for t in tails), strict=True):
            target.copy_(sum(s * p for s, p in zip(shares, parts, strict=True)))
    return out


def train(
    tail: Tail, embedding: NDArray[np.float32], views: Views, label: NDArray[np.int64],
    weight: NDArray[np.float32], config: Config,
) -> tuple[Tail, Tail]:  # fmt: skip
    """The recipe: ``(probe, final)``. ``embedding`` is the frozen net's, of view 0; weight 0 holds out."""
    seen = weight > 0
    start = probed(tail, embedding[seen], label[seen], weight[seen], config.probe_c)
    tuned = [fine_tuned(start, views, label, weight, config, seed) for seed in config.seeds]
    share = config.alpha / len(tuned)
    return start, averaged([start, *tuned], [1 - config.alpha, *[share] * len(tuned)])


# --- folds, final, files -------------------------------------------------------------------------


def held_out_scores(
    tail: Tail, embedding: NDArray[np.float32], views: Views, examples: prepare.Examples,
    weight: NDArray[np.float32], config: Config,
) -> dict[str, NDArray[np.generic]]:  # fmt: skip
    """Margins of every picture by a net that saw nothing of its source: as it is, and as cameras show it."""
    fold = prepare.folds(examples, config.n_folds, by_source=True)
    plain, seen_by_camera, probe = (np.zeros(len(examples), np.float32) for _ in range(3))
    one_seed = Config(**{**asdict(config), "seeds": config.seeds[:1]})
    for k in range(config.n_folds):
        out = fold == k
        weight_in = np.where(out, 0, weight).astype(np.float32)
        start, net = train(tail, embedding, views, examples.label, weight_in, one_seed)
        plain[out], seen_by_camera[out] = (run(net, v[np.flatnonzero(out)])[0] for v in (views[0], views[-1]))
        probe[out] = run(start, views[0][np.flatnonzero(out)])[0]
        auroc, camera_auroc = (roc_auc_score(examples.label[out], m[out]) for m in (plain, seen_by_camera))
        print(f"fold {k}: {out.sum()} held out, AUROC {auroc:.4f}, as cameras {camera_auroc:.4f}", flush=True)
    return {"margin": plain, "margin_camera": seen_by_camera, "margin_probe": probe, "label": examples.label,
            "group": examples.group, "source": examples.source, "weight": weight, "fold": fold}  # fmt: skip


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--manifest", type=Path, default=DATA / "scenes" / "manifest.csv")
    ap.add_argument("--out", type=Path, default=HERE / "runs" / "shipped")
    ap.add_argument("--cache", type=Path, default=HERE / ".cache", help="features of views, 300 MB a view")
    ap.add_argument("--steps", type=int, default=Config.steps, help="fewer to try out a manifest")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    began, config = time.monotonic(), Config(steps=a.steps)
    torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)

    examples = prepare.read_manifest(a.manifest)
    keep = prepare.without_duplicates(examples, prepare.duplicates(examples))
    weight = prepare.sample_weights(examples) * keep
    net = imagenet_net().to(memory_format=torch.channels_last)
    trunk = prepare.export_trunk(net.trunk, a.cache / "trunk.onnx")
    views: Views = [prepare.view_features(examples, n, seed=0, trunk=trunk, cache=a.cache, jobs=a.threads)
                    for n in range(config.n_views)]  # fmt: skip
    print(f"{len(examples)} pictures, {(~keep).sum()} dropped, {time.monotonic() - began:.0f} s", flush=True)

    embedding = run(net.tail, views[0])[1]
    scores = held_out_scores(net.tail, embedding, views, examples, weight, config)
    np.savez(a.out / "held_out.npz", **scores)
    _, net.tail = train(net.tail, embedding, views, examples.label, weight, config)
    torch.save(net.state_dict(), a.out / "model.pt")
    facts = {
        "manifest": a.manifest.name, "pictures": len(examples), "indoor": int(examples.label.sum()),
        "duplicates_dropped": int((~keep).sum()), "data_sha256": examples.digest(),
        "augmentation_sha256": prepare.augment_digest(), "config": asdict(config), "torch": torch.__version__,
        "threads": a.threads, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    (a.out / "train.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
