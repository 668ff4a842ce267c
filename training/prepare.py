"""Manifest → examples, folds, views and trunk features.

The manifest is the CSV that `scenecheck eval` reads: ``path,label,group`` with any further columns;
``source`` (where a picture came from), ``flags`` and ``licence`` are used when they are there.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from scenecheck.preprocess import PREPROCESS_VERSION, TILE_SIZE, tiles
from scenecheck.types import Picture
from training import augment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

LABELS = ("street", "indoor")
FEATURE_SHAPE = (192, 8, 15)
PICTURE_SUFFIXES = {".webp", ".jpg", ".jpeg", ".png"}
# Correlation of 32x18 grey thumbnails: a re-encoding lies above 0.99, other pictures of one street below 0.98.
DUPLICATE_CORRELATION = 0.985


@dataclass(frozen=True)
class Examples:
    """Rows of a manifest, in its order. ``label`` 0 street, 1 indoor; the rest are strings per row."""

    root: Path
    path: NDArray[np.str_]
    label: NDArray[np.int64]
    group: NDArray[np.str_]
    source: NDArray[np.str_]
    flags: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.path)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Examples:
        return Examples(self.root, self.path[rows], self.label[rows], self.group[rows], self.source[rows],
                        self.flags[rows])  # fmt: skip

    def digest(self) -> str:
        """SHA-256 over paths, labels and groups: which data a model says it was trained on."""
        text = "\n".join(map(",".join, zip(self.path, self.label.astype(str), self.group, strict=True)))
        return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path) -> Examples:
    """Rows labelled street or indoor whose file is a still picture."""
    with path.open(newline="", encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f)
                if r["label"] in LABELS and Path(r["path"]).suffix.lower() in PICTURE_SUFFIXES]  # fmt: skip
    if not rows:
        raise ValueError(f"{path}: no row is labelled street or indoor")

    def column(name: str, fallback: str) -> NDArray[np.str_]:
        return np.array([r.get(name) or r.get(fallback, "") for r in rows], dtype=np.str_)

    label = np.array([LABELS.index(r["label"]) for r in rows])
    return Examples(path.parent, column("path", ""), label, column("group", "path"),
                    column("source", "group"), column("flags", ""))  # fmt: skip


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """A still as ``uint8 [h, w, 3]`` RGB, turned by its EXIF, like the product reads stills."""
    bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError(f"{path}: not a picture")
    return np.ascontiguousarray(bgr[..., ::-1])


def to_tile(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``uint8 [h, w, 3]`` RGB → ``uint8 [3, 270, 480]`` by the product's own preprocessing."""
    return tiles([Picture((np.ascontiguousarray(rgb[..., ::-1]),), "bgr")])[0]


# --- duplicates and folds ------------------------------------------------------------------------


def duplicates(examples: Examples) -> list[tuple[int, int]]:
    """Pairs (i < j) of rows that show the same picture, whatever their group says."""
    small = np.stack([cv2.resize(cv2.cvtColor(read_rgb(examples.root / p), cv2.COLOR_RGB2GRAY), (32, 18),
                                 interpolation=cv2.INTER_AREA).ravel() for p in examples.path])  # fmt: skip
    z = small.astype(np.float32)
    z -= z.mean(1, keepdims=True)
    z /= np.linalg.norm(z, axis=1, keepdims=True) + 1e-6
    i, j = np.nonzero(np.triu(z @ z.T > DUPLICATE_CORRELATION, 1))
    return list(zip(i.tolist(), j.tolist(), strict=True))


def without_duplicates(examples: Examples, pairs: Iterable[tuple[int, int]]) -> NDArray[np.bool_]:
    """Keep mask ``[N]``: the first of equal pictures stays; if their labels disagree none does."""
    keep = np.ones(len(examples), bool)
    for i, j in pairs:
        if examples.label[i] != examples.label[j]:
            keep[i] = keep[j] = False
        elif keep[i] and examples.group[i] != examples.group[j]:
            keep[j] = False  # frames of one group are augmentation, the same picture in two groups is a leak
    return keep


def components(*columns: Sequence[str] | NDArray[np.str_]) -> NDArray[np.int64]:
    """Component ``int64 [N]`` of each row, where rows that share a value in any column belong together."""
    parent: dict[tuple[int, str], tuple[int, str]] = {}

    def root(x: tuple[int, str]) -> tuple[int, str]:
        while parent.setdefault(x, x) != x:
            parent[x] = x = parent[parent[x]]
        return x

    rows = list(zip(*columns, strict=True))
    for row in rows:
        for c, value in enumerate(row[1:], 1):
            parent[root((c, value))] = root((0, row[0]))
    names = [root((0, row[0])) for row in rows]
    index = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([index[name] for name in names])


def folds(examples: Examples, n: int, *, by_source: bool) -> NDArray[np.int64]:
    """Fold ``int64 [N]`` in 0..n-1; no group (and, ``by_source``, no source) lies in two folds.

    Components go, largest first, to the fold that is poorest in their majority class.
    """
    part = components(examples.group, examples.source) if by_source else components(examples.group)
    fold = np.zeros(len(examples), np.int64)
    filled = np.zeros((n, 2))
    counts = np.stack([np.bincount(part, examples.label == y) for y in (0, 1)], 1)
    for c in np.argsort(-counts.sum(1), kind="stable"):
        target = int(np.argmin(filled[:, counts[c].argmax()]))
        fold[part == c] = target
        filled[target] += counts[c]
    return fold


def sample_weights(examples: Examples) -> NDArray[np.float32]:
    """Weight ``float32 [N]``, mean 1: classes weigh alike, and within one a source by the root of its size,
    so that no single collection decides what a room is."""
    weight = np.zeros(len(examples))
    for y in (0, 1):
        of_class = examples.label == y
        _, inverse, count = np.unique(examples.source[of_class], return_inverse=True, return_counts=True)
        w = 1 / np.sqrt(count[inverse])
        weight[of_class] = w / w.sum()
    return (weight * len(examples) / weight.sum()).astype(np.float32)


N_CAMERA_FOLDS = 3
KEPT_APART = 0
"""The fold of the cameras that no shipped net ever sees."""
# One film was gathered under two names; a fold between them would show a net what it is judged on.
SAME_CAMERA = {"overpass": "pj-street"}


def camera_fold(camera: str) -> int:
    """Fold of a camera by a hash of its name: new cameras never move old ones."""
    return zlib.crc32(SAME_CAMERA.get(camera, camera).encode()) % N_CAMERA_FOLDS


def camera_folds(examples: Examples) -> NDArray[np.int64]:
    """Fold ``int64 [N]`` of each row's camera."""
    return np.array([camera_fold(str(g)) for g in examples.group])


def is_kept_apart(camera: str) -> bool:
    """Whether a camera judges shipped nets: none of them ever learns from it."""
    return camera_fold(camera) == KEPT_APART


def write_kept_apart(manifest: Path, out: Path) -> int:
    """Write the rows of ``manifest`` whose cameras are kept apart, paths made relative to ``out``; how many."""
    with manifest.open(newline="", encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if is_kept_apart(r["group"])]
    with out.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        for row in rows:
            path = os.path.relpath((manifest.parent / row["path"]).resolve(), out.parent.resolve())
            writer.writerow({**row, "path": path})
    return len(rows)


def camera_weights(examples: Examples, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weight ``float64 [N]``, sum 1, of ``rows``: classes weigh alike and, within one, cameras do; 0 elsewhere."""
    weight = np.zeros(len(examples))
    for y in (0, 1):
        of_class = np.flatnonzero(rows & (examples.label == y))
        _, inverse, count = np.unique(examples.group[of_class], return_inverse=True, return_counts=True)
        weight[of_class] = 1 / count[inverse] / max(1, len(count))
    return weight / weight.sum()


# --- views and their trunk features --------------------------------------------------------------


def view(rgb: NDArray[np.uint8], *, row: int, number: int, seed: int) -> NDArray[np.uint8]:
    """Tile of view ``number`` of picture ``row``: 0 the picture itself, then crops and ever new cameras."""
    if number == 0:
        return to_tile(rgb)
    rng = np.random.default_rng((seed, row, number))
    strength = (0.0, 0.6, 1.0, 1.0)[int(rng.integers(4))]
    return to_tile(augment.surveillance(rgb, rng, strength=strength))


class Joined:
    """Arrays of equal row shape one behind the other, without copying what may be memory-mapped."""

    def __init__(self, parts: Sequence[NDArray[np.float16]]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(p) for p in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float16]:
        wanted = np.arange(len(self))[rows]
        which = np.searchsorted(self._ends, wanted, side="right")
        out = np.empty((len(wanted), *self._parts[0].shape[1:]), np.float16)
        for k, part in enumerate(self._parts):
            here = which == k
            out[here] = part[wanted[here] - (self._ends[k] - len(part))]
        return out


class TrunkSession:
    """The frozen half through ONNX Runtime (7x eager torch on a CPU): tiles → ``float32 [N, 192, 8, 15]``."""

    def __init__(self, onnx_file: Path) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._session.run(None, {"tiles": batch})[0]


def _write_views(
    examples: Examples, rows: NDArray[np.int64], number: int, seed: int, trunk: Path, out: Path
) -> None:
    cv2.setNumThreads(1)
    session = TrunkSession(trunk)
    store = np.load(out, mmap_mode="r+")
    for at in range(0, len(rows), 16):
        some = rows[at : at + 16]
        batch = np.stack([view(read_rgb(examples.root / examples.path[i]), row=int(i), number=number, seed=seed)
                          for i in some])  # fmt: skip
        store[some] = session(batch)
    store.flush()


def view_features(
    examples: Examples, number: int, *, seed: int, trunk: Path, cache: Path, jobs: int = 2
) -> NDArray[np.float16]:
    """Trunk features of one view of every row: ``float16 [N, 192, 8, 15]``, memory-mapped and cached.

    The cache's name holds what went in (data, view, seed, augmentation and preprocess versions).
    """
    recipe = json.dumps([examples.digest(), number, seed if number else 0, PREPROCESS_VERSION,
                         augment_digest() if number else "", trunk_digest(trunk)])  # fmt: skip
    out = cache / f"view-{number}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.npy"
    if not out.exists():
        part = out.with_suffix(".part.npy")
        np.lib.format.open_memmap(part, "w+", np.float16, (len(examples), *FEATURE_SHAPE)).flush()
        shares = np.array_split(np.arange(len(examples)), jobs)
        # Spawned: a fork of a process whose runtimes have started threads may wait for them for ever.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for job in [pool.submit(_write_views, examples, s, number, seed, trunk, part) for s in shares]:
                job.result()
        part.rename(out)
    return np.load(out, mmap_mode="r")


def augment_digest() -> str:
    """Which augmentation made a view: views of other code must not be mixed up with these, its layout may."""
    from scenecheck.evaluation import codecs, corruptions

    sources = (augment, corruptions, codecs)
    trees = [ast.dump(ast.parse(Path(str(m.__file__)).read_bytes())) for m in sources]
    return hashlib.sha256("".join(trees).encode()).hexdigest()[:16]


def trunk_digest(trunk: Path) -> str:
    return hashlib.sha256(trunk.read_bytes()).hexdigest()[:16]


def export_trunk(trunk: object, path: Path) -> Path:
    """Write the frozen half as ONNX (``tiles`` → ``features``), for :class:`TrunkSession`."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros((1, 3, *TILE_SIZE), dtype=torch.uint8)
    torch.onnx.export(trunk, (example,), str(path), dynamo=False, opset_version=17, input_names=["tiles"],
                      output_names=["features"], dynamic_axes={"tiles": {0: "n"}, "features": {0: "n"}})  # fmt: skip
    return path
