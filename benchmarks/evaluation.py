"""How near does `scenecheck eval` come to the work that nobody can spare it?

    python -m benchmarks.evaluation [--stills N] [--pictures FOLDER] [--rounds N] [--precision int8] [--json]

N stills (copies of a folder's pictures, each with bytes of its own behind its end, so that no two are the same
file) are judged in turns by

- the floor: read, decode, resize and inference, and nothing else, in one process a core, each with a session of
  its own: perfectly overlapped, no lock shared;
- eval with an empty cache: besides, it hashes files, looks for conditions, keeps and orders results;
- eval with that cache filled, beside the reading alone: file, hash, row.

Rates are those of scoring; the figures that come after it (500 bootstrap draws) have a line of their own.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from scenecheck.classifier import MAX_BATCH, Classifier
from scenecheck.evaluation import figures
from scenecheck.evaluation.cache import FILE_NAME, ScoreCache, recipe_of
from scenecheck.evaluation.manifest import read_manifest
from scenecheck.evaluation.scoring import CLIP_FRAMES, score
from scenecheck.pictures import SUFFIXES, decode_picture
from scenecheck.preprocess import tiles
from scenecheck.runtime import available_cpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scenecheck.evaluation.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent


def stills(folder: Path, pictures: Path, n: int) -> Manifest:
    """A manifest of ``n`` different files in ``folder``."""
    sources = sorted(p for p in pictures.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not sources:
        raise SystemExit(f"{pictures}: no pictures")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["path", "label", "group"])
        for i in range(n):
            source = sources[i % len(sources)]
            name = f"{i}{source.suffix}"
            (folder / name).write_bytes(source.read_bytes() + i.to_bytes(8, "little"))
            writer.writerow([name, ("street", "indoor")[i % 2], f"camera-{i // 3}"])
    return read_manifest(folder / "manifest.csv")


_bare: Classifier | None = None


def _start(precision: str) -> None:
    global _bare  # noqa: PLW0603  (a process of the pool holds one session)
    cv2.setNumThreads(1)
    _bare = Classifier(threads=1, precision=precision)


def _bare_loop(files: Sequence[Path]) -> float:
    """Read, decode, resize and score; the seconds it took."""
    assert _bare is not None
    spec = _bare.card.input
    started = time.perf_counter()
    for at in range(0, len(files), MAX_BATCH):
        part = files[at : at + MAX_BATCH]
        batch = tiles([decode_picture(p.read_bytes(), p.name) for p in part], (spec.height, spec.width))
        _bare.score(batch)
    return time.perf_counter() - started


def _reading(folder: Path, files: Sequence[Path], recipe: str, workers: int) -> float:
    """Seconds to read and hash the files and to fetch the cache's row for each, side by side."""
    prefix = bytes.fromhex(recipe)

    def read(part: Sequence[Path]) -> None:
        db = sqlite3.connect(folder / FILE_NAME)
        for path in part:
            key = hashlib.sha256(prefix + hashlib.sha256(path.read_bytes()).digest()).digest()
            assert db.execute("SELECT frames FROM scores WHERE key = ?", (key,)).fetchone()
        db.close()

    with ThreadPoolExecutor(workers) as pool:
        started = time.perf_counter()
        list(pool.map(read, [files[i::workers] for i in range(workers)]))
        return time.perf_counter() - started


def measured(manifest: Manifest, work: Path, *, rounds: int, precision: str) -> dict[str, Any]:
    """Pictures a second of each side, medians of rounds taken in turns, and the ratios of each round."""
    files, workers = [e.file for e in manifest.examples], available_cpus()
    shares = [files[i::workers] for i in range(workers)]
    seconds: dict[str, list[float]] = {k: [] for k in ("floor", "cold", "reading", "warm", "figures")}
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(workers, context, initializer=_start, initargs=(precision,)) as pool,
        Classifier(threads=1, precision=precision) as classifier,
    ):
        recipe = recipe_of(classifier, frames=CLIP_FRAMES)
        list(pool.map(_bare_loop, [s[:MAX_BATCH] for s in shares]))  # processes started, models loaded
        for _ in range(rounds):
            seconds["floor"].append(max(pool.map(_bare_loop, shares)))
            cache = work / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            for name in ("cold", "warm"):
                with ScoreCache(cache, recipe) as kept:
                    scored = score(manifest, classifier, workers=workers, cache=kept)
                seconds[name].append(scored.seconds)
                if name == "cold":
                    seconds["reading"].append(_reading(cache, files, recipe, workers))
            started = time.perf_counter()
            frames = figures.frames_of(scored.examples, classifier.card.thresholds)
            figures.frame_figures(figures.arrays_of(frames))
            seconds["figures"].append(time.perf_counter() - started)
    rates = {k: round(len(files) / statistics.median(v), 1) for k, v in seconds.items() if k != "figures"}
    return {
        "benchmark": "evaluation",
        "stills": len(files),
        "precision": precision,
        "cpus": workers,
        "load": os.getloadavg()[0],
        "pictures_per_s": rates,
        "cold_of_floor": _ratio(seconds["floor"], seconds["cold"]),
        "warm_of_reading": _ratio(seconds["reading"], seconds["warm"]),
        "figures_s": round(statistics.median(seconds["figures"]), 2),
    }


def _ratio(floor: list[float], mine: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(floor, mine, strict=True)), 3)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stills", type=int, default=2000)
    parser.add_argument("--pictures", type=Path, default=ROOT / "samples")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=["fp32", "int8"], default="fp32")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenecheck-") as folder:
        work = Path(folder)
        found = measured(stills(work, a.pictures, a.stills), work, rounds=a.rounds, precision=a.precision)
    if a.json:
        print(json.dumps(found))
        return 0
    rates = found["pictures_per_s"]
    print(
        f"evaluation of {found['stills']} stills, {found['cpus']} CPUs, load {found['load']:.1f}, {a.precision}"
    )
    print(f"floor    {rates['floor']:8.1f} pictures/s  (decode + resize + inference, a process a core)")
    print(f"eval     {rates['cold']:8.1f} pictures/s  {found['cold_of_floor']:.3f} of the floor")
    print(f"reading  {rates['reading']:8.1f} pictures/s  (file, hash, cached row)")
    print(f"cached   {rates['warm']:8.1f} pictures/s  {found['warm_of_reading']:.3f} of reading")
    print(f"figures  {found['figures_s']:8.2f} s once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
