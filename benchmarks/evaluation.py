"""How near does `scenecheck eval` come to the work that nobody can spare it?

    python -m benchmarks.evaluation [--stills N] [--pictures FOLDER] [--rounds N] [--precision int8] [--json]

N stills (copies of a folder's pictures, each with bytes of its own behind its end, so that no two are the same
file) are judged in turns by

- the floor: read, decode, resize and inference, and nothing else, in one process a core, each with a session of
  its own: perfectly overlapped, no lock shared;
- eval with an empty cache: besides, it hashes files, looks for conditions, keeps and orders results;
- eval with that cache filled, beside the reading alone: file, hash, row.

Beside each ratio of rates stands that of CPU time, which neighbours on the same machine stretch far less. Rates are
those of scoring; the figures that come after it (500 bootstrap draws) have a line of their own.
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
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import cv2
import numpy as np

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


class Spent(NamedTuple):
    """Seconds of the wall and of the CPU."""

    wall: float
    cpu: float


class _Clock:
    """Measures what is done in ``with``: wall, and CPU of all threads of this process."""

    def __enter__(self) -> Self:
        self._began = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self.spent = Spent(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


def _bare_loop(files: Sequence[Path]) -> Spent:
    """Read, decode, resize and score."""
    assert _bare is not None
    size = (_bare.card.input.height, _bare.card.input.width)
    with _Clock() as clock:
        for at in range(0, len(files), MAX_BATCH):
            part = files[at : at + MAX_BATCH]
            _bare.score(np.concatenate([tiles([decode_picture(p.read_bytes(), p.name)], size) for p in part]))
    return clock.spent


def _floor(spent: Sequence[Spent]) -> Spent:
    """Processes side by side: as long as the longest, as much CPU as all."""
    return Spent(max(s.wall for s in spent), sum(s.cpu for s in spent))


def _reading(folder: Path, files: Sequence[Path], recipe: str, workers: int) -> Spent:
    """Read and hash the files and fetch the cache's row for each, side by side."""
    prefix = bytes.fromhex(recipe)

    def read(part: Sequence[Path]) -> None:
        db = sqlite3.connect(folder / FILE_NAME)
        for path in part:
            key = hashlib.sha256(prefix + hashlib.sha256(path.read_bytes()).digest()).digest()
            assert db.execute("SELECT frames FROM scores WHERE key = ?", (key,)).fetchone()
        db.close()

    with _Clock() as clock, ThreadPoolExecutor(workers) as pool:
        list(pool.map(read, [files[i::workers] for i in range(workers)]))
    return clock.spent


def measured(manifest: Manifest, work: Path, *, rounds: int, precision: str) -> dict[str, Any]:
    """Pictures a second of each side, medians of rounds taken in turns, and the ratios of each round."""
    files, workers = [e.file for e in manifest.examples], available_cpus()
    shares = [files[i::workers] for i in range(workers)]
    spent: dict[str, list[Spent]] = {k: [] for k in ("floor", "cold", "reading", "warm", "figures")}
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(workers, context, initializer=_start, initargs=(precision,)) as pool,
        Classifier(threads=1, precision=precision) as classifier,
    ):
        recipe = recipe_of(classifier, frames=CLIP_FRAMES)
        list(pool.map(_bare_loop, [s[:MAX_BATCH] for s in shares]))  # processes started, models loaded
        for _ in range(rounds):
            spent["floor"].append(_floor(list(pool.map(_bare_loop, shares))))
            cache = work / "cache"
            shutil.rmtree(cache, ignore_errors=True)
            for name in ("cold", "warm"):
                with ScoreCache(cache, recipe) as kept, _Clock() as clock:
                    scored = score(manifest, classifier, workers=workers, cache=kept)
                spent[name].append(clock.spent)
                if name == "cold":
                    spent["reading"].append(_reading(cache, files, recipe, workers))
            with _Clock() as clock:
                frames = figures.frames_of(scored.examples, classifier.card.thresholds)
                figures.frame_figures(figures.arrays_of(frames))
            spent["figures"].append(clock.spent)
    rates = {k: round(len(files) / statistics.median(s.wall for s in v), 1) for k, v in spent.items()}
    return {
        "benchmark": "evaluation",
        "stills": len(files),
        "precision": precision,
        "cpus": workers,
        "load": os.getloadavg()[0],
        "pictures_per_s": rates,
        "cold_of_floor": _ratios(spent["floor"], spent["cold"]),
        "warm_of_reading": _ratios(spent["reading"], spent["warm"]),
        "figures_s": round(statistics.median(s.wall for s in spent["figures"]), 2),
    }


def _ratios(floor: Sequence[Spent], mine: Sequence[Spent]) -> dict[str, float]:
    """How near ``mine`` comes to the floor, by the wall and by CPU time: medians over the rounds."""
    both = list(zip(floor, mine, strict=True))
    return {
        "rate": round(statistics.median(a.wall / b.wall for a, b in both), 3),
        "cpu": round(statistics.median(a.cpu / b.cpu for a, b in both), 3),
    }


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
    cold, warm = found["cold_of_floor"], found["warm_of_reading"]
    print(
        f"evaluation of {found['stills']} stills, {found['cpus']} CPUs, load {found['load']:.1f}, {a.precision}"
    )
    print(f"floor    {rates['floor']:8.1f} pictures/s  (decode + resize + inference, a process a core)")
    print(
        f"eval     {rates['cold']:8.1f} pictures/s  {cold['rate']:.3f} of the floor (CPU: {cold['cpu']:.3f})"
    )
    print(f"reading  {rates['reading']:8.1f} pictures/s  (file, hash, cached row)")
    print(f"cached   {rates['warm']:8.1f} pictures/s  {warm['rate']:.3f} of reading (CPU: {warm['cpu']:.3f})")
    print(f"figures  {found['figures_s']:8.2f} s once")
    return 0


if __name__ == "__main__":
    sys.exit(main())
