"""Fine-tune EfficientNet-Lite1 to tell interiors from streets, on two CPU cores.

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

Photographs come from ``--manifest``, stills of real cameras from ``--cameras``. Steps 2 to 4 run three times on folds
of the cameras: each camera is scored by a net that never saw it (OUT/cameras.npz). The net that saw nothing of fold
`prepare.KEPT_APART` is the one that ships, so those cameras can judge the file itself. Then three times on folds
that hold out whole sources of photographs (OUT/held_out.npz). Temperature and thresholds rest on these scores.

Writes OUT/model.pt (weights), OUT/cameras.npz, OUT/held_out.npz and OUT/train.json (configuration, data digests).
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from training import prepare
from training.net import Net, Tail, imagenet_net

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"


@dataclass(frozen=True)
class Config:
    """Everything that decides the result, saved with it."""

    seeds: tuple[int, ...] = (0, 1, 2)
    n_views: int = 6
    n_folds: int = 3
    probe_c: float = 1e-3  # inverse L2 strength of the logistic regression on standardised embeddings
    steps: int = 240
    batch: int = 32
    rate: float = 1e-4
    warm_up: int = 30
    weight_decay: float = 1e-4
    smoothing: float = 0.05  # of labels: about one in a hundred is wrong
    dropout: float = 0.2
    ema: float = 0.99
    alpha: float = 0.7  # share of the fine-tuned weights in the final average
    camera_share: float = (
        0.5  # of what a net sees that is real cameras: 170 of them teach more than 5,555 photographs
    )


Views = list[prepare.Joined]  # per view, float16 [N, 192, 8, 15]


def as_batch(features: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(features.astype(np.float32)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def run(
    tail: Tail, features: NDArray[np.float16] | prepare.Joined
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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
        x = as_batch(np.concatenate([views[v][i : i + 1] for v, i in zip(number, rows, strict=True)]))
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


@dataclass(frozen=True)
class Data:
    """Photographs first, cameras behind them: one array of rows for everything below."""

    photographs: prepare.Examples
    cameras: prepare.Examples | None
    views: Views
    embedding: NDArray[np.float32]  # of view 0 by the frozen net
    photograph_weight: NDArray[np.float32]  # [photographs], 0 for duplicates
    config: Config

    @property
    def label(self) -> NDArray[np.int64]:
        parts = [self.photographs.label] + ([self.cameras.label] if self.cameras else [])
        return np.concatenate(parts)

    def weights(
        self, *, photographs_out: NDArray[np.bool_] | None = None, fold_out: int = prepare.KEPT_APART
    ) -> NDArray[np.float32]:
        """Sampling weight of every row, 0 for what this net must not see."""
        of_photographs = self.photograph_weight.astype(np.float64)
        if photographs_out is not None:
            of_photographs = np.where(photographs_out, 0, of_photographs)
        if self.cameras is None:
            return of_photographs.astype(np.float32)
        share, n = self.config.camera_share, len(self.label)
        of_cameras = prepare.camera_weights(self.cameras, prepare.camera_folds(self.cameras) != fold_out)
        return np.concatenate([of_photographs / of_photographs.sum() * (1 - share) * n,
                               of_cameras * share * n]).astype(np.float32)  # fmt: skip

    def train(self, net: Tail, weight: NDArray[np.float32], *, seeds: tuple[int, ...]) -> tuple[Tail, Tail]:
        config = replace(self.config, seeds=seeds)
        return train(net, self.embedding, self.views, self.label, weight, config)

    def margins(self, start: Tail, net: Tail, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """Of ``rows`` as they are and as bad cameras show them by ``net``, and as they are by ``start``."""
        return {
            "margin": run(net, self.views[0][rows])[0],
            "margin_camera": run(net, self.views[-1][rows])[0],
            "margin_probe": run(start, self.views[0][rows])[0],
        }


def photograph_folds(data: Data, tail: Tail) -> dict[str, NDArray[np.generic]]:
    """Every photograph by a net that saw nothing of its source (and the cameras that the shipped net sees)."""
    examples, n = data.photographs, len(data.photographs)
    fold = prepare.folds(examples, data.config.n_folds, by_source=True)
    found: dict[str, NDArray[np.generic]] = {}
    for k in range(data.config.n_folds):
        rows = np.flatnonzero(fold == k)
        nets = data.train(tail, data.weights(photographs_out=fold == k), seeds=data.config.seeds[:1])
        for name, margin in data.margins(*nets, rows).items():
            found.setdefault(name, np.zeros(n, np.float32))[rows] = margin
        _say(f"sources, fold {k}", examples.label[rows], found, rows)
    return {**found, "label": examples.label, "group": examples.group, "source": examples.source,
            "flags": examples.flags, "weight": data.photograph_weight, "fold": fold}  # fmt: skip


def camera_folds(data: Data, tail: Tail) -> tuple[Tail, dict[str, NDArray[np.generic]]]:
    """The net that saw nothing of fold `KEPT_APART`, and every camera by a net that never saw it."""
    examples, first = data.cameras, len(data.photographs)
    if examples is None:
        raise ValueError("no cameras")
    fold, shipped = prepare.camera_folds(examples), tail
    found: dict[str, NDArray[np.generic]] = {}
    for k in range(prepare.N_CAMERA_FOLDS):
        rows = np.flatnonzero(fold == k)
        nets = data.train(tail, data.weights(fold_out=k), seeds=data.config.seeds)
        for name, margin in data.margins(*nets, first + rows).items():
            found.setdefault(name, np.zeros(len(examples), np.float32))[rows] = margin
        _say(f"cameras, fold {k}", examples.label[rows], found, rows)
        shipped = nets[1] if k == prepare.KEPT_APART else shipped
    return shipped, {**found, "label": examples.label, "group": examples.group, "path": examples.path,
                     "flags": examples.flags, "fold": fold}  # fmt: skip


def _say(
    what: str, label: NDArray[np.int64], found: dict[str, NDArray[np.generic]], rows: NDArray[np.int64]
) -> None:
    if 0 < label.mean() < 1:
        auroc = {name: f"{roc_auc_score(label, margin[rows]):.4f}" for name, margin in found.items()}
        print(f"{what}: {len(rows)} held out, AUROC {auroc}", flush=True)


def read(manifest: Path, cameras: Path | None, net: Net, cache: Path, config: Config, threads: int) -> Data:
    """Examples, their views through the frozen half, and their weights."""
    examples = [prepare.read_manifest(p) for p in (manifest, cameras) if p is not None]
    keep = prepare.without_duplicates(examples[0], prepare.duplicates(examples[0]))
    trunk = prepare.export_trunk(net.trunk, cache / "trunk.onnx")
    views: Views = [
        prepare.Joined([prepare.view_features(e, n, seed=0, trunk=trunk, cache=cache, jobs=threads) for e in examples])
        for n in range(config.n_views)
    ]  # fmt: skip
    embedding = run(net.tail, views[0])[1]
    weight = (prepare.sample_weights(examples[0]) * keep).astype(np.float32)
    return Data(examples[0], examples[1] if cameras else None, views, embedding, weight, config)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--manifest", type=Path, default=DATA / "scenes" / "manifest.csv", help="photographs")
    ap.add_argument("--cameras", type=Path, help="stills of real cameras, learned in folds of cameras; "
                    "by default those beside the default photographs")  # fmt: skip
    ap.add_argument("--out", type=Path, default=HERE / "runs" / "shipped")
    ap.add_argument("--cache", type=Path, default=HERE / ".cache", help="features of views, 260 MB a view")
    ap.add_argument("--steps", type=int, default=Config.steps, help="fewer to try out a manifest")
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    began, config = time.monotonic(), Config(steps=a.steps)
    if a.cameras is None and a.manifest == ap.get_default("manifest"):
        a.cameras = DATA / "cctv" / "manifest.csv"
    torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)

    net = imagenet_net().to(memory_format=torch.channels_last)
    data = read(a.manifest, a.cameras, net, a.cache, config, a.threads)
    n_dropped = int((data.photograph_weight == 0).sum())
    print(f"{len(data.label)} pictures, {n_dropped} dropped, {time.monotonic() - began:.0f} s", flush=True)

    if data.cameras is None:
        _, tail = data.train(net.tail, data.weights(), seeds=config.seeds)
    else:
        tail, scores = camera_folds(data, net.tail)
        np.savez(a.out / "cameras.npz", **scores)
    np.savez(a.out / "held_out.npz", **photograph_folds(data, net.tail))
    net.tail = tail
    torch.save(net.state_dict(), a.out / "model.pt")
    facts = {
        "manifest": a.manifest.name, "pictures": len(data.photographs),
        "indoor": int(data.photographs.label.sum()), "duplicates_dropped": n_dropped,
        "data_sha256": data.photographs.digest(), **camera_facts(data),
        "augmentation_sha256": prepare.augment_digest(), "config": asdict(config), "torch": torch.__version__,
        "threads": a.threads, "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    (a.out / "train.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts), flush=True)


def camera_facts(data: Data) -> dict[str, object]:
    """What the model's card says of the cameras it learned from."""
    if data.cameras is None:
        return {}
    seen = data.cameras.take(data.weights()[len(data.photographs) :] > 0)
    return {"cameras": len(np.unique(seen.group)), "camera_stills": len(seen),
            "indoor_cameras": len(np.unique(seen.group[seen.label == 1])),
            "cameras_sha256": seen.digest()}  # fmt: skip


if __name__ == "__main__":
    main()
