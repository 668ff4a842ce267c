"""Does the view comparison tell a moved camera from one that stayed, on cameras its constants never saw?

Same: pictures of one camera at other times, in stills and in clips. Moved: other cameras, and the same
camera turned, tilted, zoomed or hung elsewhere (cut from one still, so that the two views overlap).
Constants come from cameras with an even CRC-32 of the name (`--fit` prints them), figures from the odd
ones. Intervals: Wilson for shares (over cameras), bootstrap over cameras for AUROC.

Cameras in NOT_FIXED were looked at: held by hand, cut from several places or panned. They count as
neither same nor moved; `auroc_as_labelled` counts them as same all the same. SAME_FILM is one view under
two names.

    python -m benchmarks.view [--fit] [--json]      # needs ../shared/data/cctv
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import sys
import time
import zlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from scenecheck import view
from scenecheck.classifier import Classifier
from scenecheck.evaluation import corruptions
from scenecheck.preprocess import tiles
from scenecheck.types import Picture
from scenecheck.view import Comparison, View, compare

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]
DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "cctv"
NOT_FIXED = frozenset(
    {
        "blueeye-hall",
        "daffa-junction",
        "frig-front",
        "gmdcsa-s1",
        "leo-warehouse",
        "omkar-street",
        "pioneer-fall-room",
        "qon-park-top-a",
        "shruti-street",
        "testg-sports-hall",
    }
)
SAME_FILM = ("overpass", "pj-street")
CLIP_FRAMES = 3
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Pair:
    """One comparison to be made: what it is called, the camera, whether the view stayed."""

    kind: str
    camera: str
    other: str
    is_same: bool
    is_hard: bool
    views: tuple[View, View]


def _warp(rgb: Array, *, zoom: float = 1.0, degrees: float = 0.0, x: float = 0.0, y: float = 0.0) -> Array:
    """What a camera sees that zooms, turns and pans (share of the picture) inside of a still."""
    h, w = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, zoom)
    matrix[:, 2] -= (x * w, y * h)
    return cv2.warpAffine(rgb, matrix, (w, h), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)


def _panned(x: float, y: float) -> Callable[[Array], tuple[Array, Array]]:
    """Two windows of a still, each 65 % wide and high, so far apart: only real pixels in both."""

    def cut(rgb: Array) -> tuple[Array, Array]:
        h, w = rgb.shape[:2]
        wh, ww = int(h * 0.65), int(w * 0.65)
        return rgb[:wh, :ww], rgb[int(y * wh) :, int(x * ww) :][:wh, :ww]

    return cut


MOVES: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "pan 30 %": _panned(0.30, 0),
    "pan 50 %": _panned(0.50, 0),
    "tilt 30 %": _panned(0, 0.30),
    "pan + tilt 25 %": _panned(0.25, 0.25),
    "turned 15 deg": lambda p: (_warp(p, zoom=1.4), _warp(p, zoom=1.4, degrees=15)),
    "turned 30 deg": lambda p: (_warp(p, zoom=1.7), _warp(p, zoom=1.7, degrees=30)),
    "zoom 1.6": lambda p: (p, _warp(p, zoom=1.6)),
    "zoom 2 off the middle": lambda p: (p, _warp(p, zoom=2.0, x=0.3, y=0.2)),
    "hung elsewhere": lambda p: (
        _warp(p, zoom=1.3),
        corruptions.high_corner(_warp(p, zoom=1.5, x=-0.2, y=0.15), 0.6, np.random.default_rng(5)),
    ),
    "upside down": lambda p: (p, np.ascontiguousarray(p[::-1, ::-1])),
}


def _occluded(rgb: Array, rng: np.random.Generator) -> Array:
    """Blobs of other texture, as of people and vehicles close by, over 30 % of the picture."""
    h, w = rgb.shape[:2]
    mask = np.zeros((h, w), np.uint8)
    while mask.mean() < 0.30:
        centre = (int(rng.uniform(0, w)), int(rng.uniform(0.2, 1) * h))
        axes = (int(w * rng.uniform(0.03, 0.12)), int(h * rng.uniform(0.1, 0.35)))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    other = cv2.resize(rng.integers(0, 256, (12, 20, 3), np.uint8), (w, h), interpolation=cv2.INTER_CUBIC)
    return np.where(mask[..., None] > 0, other, rgb)


STAYS: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "another time": lambda p, _: p,
    "infrared": lambda p, rng: corruptions.infrared(p, 0.6, rng),
    "night": lambda p, rng: corruptions.sensor_noise(corruptions.darkness(p, 0.6, rng), 0.3, rng),
    "dusk to infrared, noise": lambda p, rng: corruptions.sensor_noise(
        corruptions.infrared(p, 0.9, rng), 0.5, rng
    ),
    "defocus": lambda p, rng: corruptions.defocus(p, 0.5, rng),
    "H.264 crf 40": lambda p, rng: corruptions.h264(p, 0.73, rng),
    "motion JPEG quality 18": lambda p, rng: corruptions.mjpeg(p, 0.8, rng),
    "OSD changed": lambda p, rng: corruptions.overlay(corruptions.overlay(p, 0.8, rng), 0.8, rng),
    "occluders 30 %": _occluded,
    "rain": lambda p, rng: corruptions.rain(p, 0.6, rng),
    "fog": lambda p, rng: corruptions.fog(p, 0.6, rng),
    "lens dirt": lambda p, rng: corruptions.lens_dirt(p, 0.7, rng),
    "sway 2 %": lambda p, rng: _warp(p, x=rng.choice((-0.02, 0.02)), y=0.02, degrees=rng.uniform(-1, 1)),
    "zoom 1.25": lambda p, _: _warp(p, zoom=1.25),
    "zoom 1.1, infrared": lambda p, rng: corruptions.infrared(_warp(p, zoom=1.1), 0.5, rng),
}


class Maker:
    """Pictures to views: collected first, embedded in batches."""

    def __init__(self) -> None:
        self.classifier = Classifier(threads=1)
        self.seconds = 0.0
        self.n = 0

    def views(self, pictures: list[Array]) -> list[View]:
        batch = tiles([Picture((np.ascontiguousarray(p[..., ::-1]),), "bgr") for p in pictures])
        embedding = self.classifier.score(batch).embedding
        start = time.thread_time()
        made = [View.of(t, e) for t, e in zip(batch, embedding, strict=True)]
        self.seconds += time.thread_time() - start
        self.n += len(made)
        return made


def read(path: Path) -> Array:
    bgr = cv2.imread(str(path))
    scale = min(1.0, 640 / bgr.shape[1])
    return cv2.resize(bgr[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def clip_frames(path: Path) -> list[Array]:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return [frames[int(k)] for k in np.linspace(0, len(frames) - 1, CLIP_FRAMES)]


def pairs(maker: Maker) -> list[Pair]:
    """All pairs of the benchmark, each camera's pictures read once."""
    label: dict[str, str] = {}
    kind: dict[str, str] = {}
    stills: dict[str, list[Array]] = defaultdict(list)
    for row in csv.DictReader((DATA / "manifest.csv").open()):
        label[row["group"]], kind[row["group"]] = row["label"], row["kind"]
        stills[row["group"]].append(read(DATA / row["path"]))
    found: list[Pair] = []
    at: dict[str, list[View]] = {}
    for camera, pictures in stills.items():
        rng = np.random.default_rng(zlib.crc32(camera.encode()))
        at[camera] = maker.views(pictures)
        real = "as labelled" if camera in NOT_FIXED else "stills"
        found += [Pair(real, camera, camera, True, False, p) for p in itertools.combinations(at[camera], 2)]
        found += _simulated(maker, camera, pictures, rng)
        if camera not in NOT_FIXED and len(pictures) > 2:
            for k, left_out in enumerate(at[camera]):
                rest = view.merge([v for j, v in enumerate(at[camera]) if j != k])
                found.append(Pair("merged reference", camera, camera, True, False, (rest, left_out)))
    for row in csv.DictReader((DATA / "clips.csv").open()):
        if row["group"] not in NOT_FIXED:
            views = maker.views(clip_frames(DATA / row["path"]))
            both = itertools.combinations(views, 2)
            found += [Pair("clips", row["group"], row["group"], True, False, p) for p in both]
    for a, b in itertools.combinations(sorted(at), 2):
        if (a, b) == SAME_FILM:
            continue
        rng = np.random.default_rng(zlib.crc32((a + b).encode()))
        chosen = (at[a][rng.integers(len(at[a]))], at[b][rng.integers(len(at[b]))])
        name = "street against indoor" if label[a] != label[b] else "other cameras"
        hard = label[a] == label[b] and kind[a] == kind[b]
        found.append(Pair(name, a, b, False, hard, chosen))
    return found


def _simulated(maker: Maker, camera: str, pictures: list[Array], rng: np.random.Generator) -> list[Pair]:
    moved = [v for move in MOVES.values() for v in move(pictures[0])]
    # what stays is another picture of the camera where there is one: other people, other light
    later = pictures[-1] if camera not in NOT_FIXED else pictures[0]
    stays = [change(later, rng) for name, change in STAYS.items()]
    views = maker.views([pictures[0], *moved, *stays])
    reference, moved_views, stay_views = views[0], views[1 : 1 + len(moved)], views[1 + len(moved) :]
    twos = zip(moved_views[::2], moved_views[1::2], strict=True)
    found = [Pair(n, camera, camera, False, False, p) for n, p in zip(MOVES, twos, strict=True)]
    return found + [
        Pair(n, camera, camera, True, False, (reference, v)) for n, v in zip(STAYS, stay_views, strict=True)
    ]


def is_odd(camera: str) -> bool:
    return zlib.crc32(camera.encode()) % 2 == 1


def auroc(same: Array, moved: Array) -> float:
    """Area under the ROC curve by ranks; ties count half."""
    ordered = np.sort(moved)
    below = np.searchsorted(ordered, same, "left") + np.searchsorted(ordered, same, "right")
    return float(below.mean() / 2 / len(moved))


def wilson(p: float, n: float) -> list[float]:
    """95 % interval of a share ``p`` of ``n`` (Wilson, 1927)."""
    z = 1.96
    middle = (p + z * z / 2 / n) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def interval(same: list[tuple[str, float]], moved: list[tuple[str, float]]) -> list[float]:
    """Bootstrap over cameras of the AUROC, 95 %."""
    rng = np.random.default_rng(0)
    by: tuple[dict[str, list[float]], ...] = (defaultdict(list), defaultdict(list))
    for which, found in zip(by, (same, moved), strict=True):
        for camera, score in found:
            which[camera].append(score)
    cameras = sorted(by[0].keys() | by[1].keys())
    values = []
    for _ in range(N_BOOTSTRAP):
        drawn = rng.choice(cameras, len(cameras))
        a, b = ([s for c in drawn for s in which.get(c, ())] for which in by)
        values.append(auroc(np.array(a), np.array(b)))
    return [round(float(v), 5) for v in np.quantile(values, (0.025, 0.975))]


def share(kind: str, held: list[tuple[Pair, Comparison]]) -> dict[str, Any]:
    """How many of a kind count as same: over pairs, and over cameras (each counts once)."""
    by: dict[str, list[bool]] = defaultdict(list)
    for pair, comparison in held:
        if pair.kind == kind:
            by[pair.camera].append(comparison.same)
    rate = float(np.mean([np.mean(v) for v in by.values()]))
    n = sum(map(len, by.values()))
    pairs_same = sum(map(sum, by.values())) / n
    ci = wilson(rate, len(by))
    share_of = {"same": round(pairs_same, 4), "same_cameras": round(rate, 4)}
    return {"pairs": n, "cameras": len(by), **share_of, "ci": ci}


def figures(found: list[Pair], maker: Maker, *, coarse: bool, odd: bool = True) -> dict[str, Any]:
    held = [p for p in found if is_odd(p.camera) == is_odd(p.other) == odd]
    if coarse:
        held = [Pair(p.kind, p.camera, p.other, p.is_same, p.is_hard, (p.views[0].coarse(), p.views[1]))
                for p in held]  # fmt: skip
    compared, ms = [], defaultdict(list)
    for pair in held:
        start = time.thread_time()
        compared.append((pair, compare(*pair.views)))
        ms["same" if pair.is_same else "moved"].append((time.thread_time() - start) * 1e3)
    real = {"stills", "clips", "merged reference"}
    same = [(p.camera, c.score) for p, c in compared if p.kind in real]
    labelled = same + [(p.camera, c.score) for p, c in compared if p.kind == "as labelled"]
    others = [(p.camera, c.score) for p, c in compared if p.camera != p.other]
    hard = [(p.camera, c.score) for p, c in compared if p.is_hard]
    turned = [(p.camera, c.score) for p, c in compared if not p.is_same and p.camera == p.other]
    stays = [(p.camera, c.score) for p, c in compared if p.is_same and p.kind in STAYS]
    at_1_percent = np.quantile([s for _, s in others + turned], 0.99)

    def values(rows: list[tuple[str, float]]) -> Any:
        return np.array([s for _, s in rows])

    out: dict[str, Any] = {
        "n": {"same": len(same), "others": len(others), "hard": len(hard), "turned": len(turned)},
        "auroc_others": round(auroc(values(same), values(others)), 5),
        "auroc_others_ci": interval(same, others),
        "auroc_hard": round(auroc(values(same), values(hard)), 5),
        "auroc_hard_ci": interval(same, hard),
        "auroc_turned": round(auroc(values(same), values(turned)), 5),
        "auroc_all": round(auroc(values(same + stays), values(others + turned)), 5),
        "auroc_as_labelled": round(auroc(values(labelled), values(others)), 5),
        "recall_at_1_percent_moves": round(float((values(same) > at_1_percent).mean()), 4),
        "recall_of_stills_and_clips": round(
            float(np.mean([c.same for p, c in compared if p.kind in real])), 4
        ),
        "accepted_of_others": round(float(np.mean([c.same for p, c in compared if p.camera != p.other])), 5),
        "rows": {k: share(k, compared) for k in dict.fromkeys(p.kind for p in held)},
        "compare_ms": {k: [round(float(q), 2) for q in np.quantile(v, (0.5, 0.95))] for k, v in ms.items()},
        "extract_ms": round(maker.seconds / maker.n * 1e3, 2),
    }
    return out


def distances(found: list[Pair]) -> dict[str, Any]:
    """Of moved pairs with a known distance, odd cameras: how many said how far, and how far off."""
    truth = {"pan 30 %": (-0.30, 0.0, 0.0, 1.0), "tilt 30 %": (0.0, -0.30, 0.0, 1.0),
             "turned 15 deg": (0.0, 0.0, 15.0, 1.0), "zoom 1.6": (0.0, 0.0, 0.0, 1.6)}  # fmt: skip
    out = {}
    for kind, (x, y, degrees, zoom) in truth.items():
        said = [compare(*p.views) for p in found if p.kind == kind and is_odd(p.camera)]
        told = [c for c in said if c.shift_x is not None]
        near = [
            abs(c.shift_x - x) < 0.06 and abs(c.shift_y - y) < 0.06  # type: ignore[operator]
            and abs(abs(c.rotation_deg) - degrees) < 6 and abs(c.zoom / zoom - 1) < 0.2  # type: ignore[arg-type,operator]
            for c in told
        ]  # fmt: skip
        out[kind] = {
            "said": round(len(told) / len(said), 3),
            "right_of_said": round(float(np.mean(near or [0])), 3),
        }
    return out


def fit(found: list[Pair], *, coarse: bool) -> dict[str, Any]:
    """Weights of the logistic score and the 1 % point, from even cameras; each class weighs the same."""
    rows, y, kinds = [], [], []
    for p in found:
        if is_odd(p.camera) or is_odd(p.other) or p.kind == "as labelled":
            continue
        a, b = (v.coarse() for v in p.views) if coarse else p.views
        near, best = view._register(view._unpack(a.field), view._unpack(b.field), is_coarse=coarse)
        rows.append([1.0, math.log(view._peak(near, best))])
        y.append(p.is_same)
        kinds.append(
            (p.is_same, "camera" if p.camera != p.other else "clip" if p.kind == "clips" else p.kind)
        )
    x, target = np.array(rows), np.array(y, float)
    n = {k: kinds.count(k) for k in set(kinds)}
    weight = np.array([1 / n[k] * (8 if k[1] in {"camera", "stills"} else 1) for k in kinds])
    for value in (0.0, 1.0):
        weight[target == value] /= weight[target == value].sum()
    beta = np.zeros(x.shape[1])
    for _ in range(50):  # Newton on the log-likelihood, with a ridge that only keeps it finite
        p_same = 1 / (1 + np.exp(-x @ beta))
        slope = x.T @ (weight * (target - p_same)) - 1e-4 * beta
        hessian = (x * (weight * p_same * (1 - p_same))[:, None]).T @ x + 1e-4 * np.eye(len(beta))
        beta += np.linalg.solve(hessian, slope)
    p_same = 1 / (1 + np.exp(-x @ beta))
    moved = np.array([s for s, k in zip(p_same, kinds, strict=True) if not k[0]])
    return {"weights": [round(float(b), 2) for b in beta],
            "moves_accepted_1_percent_at": round(float(np.quantile(moved, 0.99)), 3),
            "moves_accepted_0.1_percent_at": round(float(np.quantile(moved, 0.999)), 3)}  # fmt: skip


def report(*, with_fit: bool = False) -> dict[str, Any]:
    """Everything this benchmark prints; the rows per kind of pair in ``fine``."""
    maker = Maker()
    found = pairs(maker)
    out: dict[str, Any] = {}
    if with_fit:
        out["fit"] = {"fine": fit(found, coarse=False), "coarse": fit(found, coarse=True)}
    out["fine"] = figures(found, maker, coarse=False)
    out["coarse"] = {k: v for k, v in figures(found, maker, coarse=True).items() if k != "rows"}
    out["fitted_cameras"] = {
        k: v
        for k, v in figures(found, maker, coarse=False, odd=False).items()
        if k.startswith(("au", "re", "ac"))
    }
    out["how_far"] = distances(found)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", action="store_true", help="print the constants that the even cameras give")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        print(f"skipped: {DATA.name} is absent", file=sys.stderr)
        return 0
    cv2.setNumThreads(1)
    out = report(with_fit=args.fit)
    if args.json:
        print(json.dumps(out))
        return 0
    rows = out["fine"].pop("rows")
    print(json.dumps(out, indent=1))
    print(f"\n{'counted as same, cameras not fitted on':40s} {'pairs':>6} {'share':>7}  by camera [95 %]")
    for kind, r in rows.items():
        print(f"{kind:40s} {r['pairs']:6d} {r['same']:7.2%}  {r['same_cameras']:.2%} {r['ci']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
