"""Examples to judged examples: decoding and inference side by side on every core, in constant memory.

Each worker takes `MAX_BATCH` examples, decodes them and scores them as one batch on its own thread. Nothing is
handed over between threads, so no core waits for another; what is in memory is a batch of tiles a worker.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import cv2
import numpy as np

from scenecheck.classifier import MAX_BATCH
from scenecheck.conditions import conditions, remember
from scenecheck.errors import SourceError
from scenecheck.evaluation.manifest import ManifestError, Problem
from scenecheck.evaluation.results import Judged
from scenecheck.pictures import MAX_BYTES, decode_picture, kind_of
from scenecheck.pipeline import UNFIT_ALLOWANCE
from scenecheck.preprocess import tiles
from scenecheck.runtime import available_cpus
from scenecheck.source import SourceOptions, open_source
from scenecheck.types import Condition, Sighting
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scenecheck.adapter import AdaptedClassifier
    from scenecheck.classifier import Classifier
    from scenecheck.evaluation.cache import ScoreCache
    from scenecheck.evaluation.manifest import Example, Manifest
    from scenecheck.types import Frame, Thresholds, Verdict

CLIP_FRAMES = 5
"""Frames looked at in a clip: what `scenecheck check` does unless told."""

CLIP_DEADLINE_S = 120.0
"""A file on this machine that brings no frames for so long will not bring any."""

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scored:
    """All examples judged; how many frames came from the cache, how long it took, and a hash of the files."""

    examples: tuple[Judged, ...]
    n_cached: int
    seconds: float
    pictures_sha256: str


class _Look(NamedTuple):
    """A frame before its score: tile ``uint8 [3, H, W]``."""

    at_s: float
    tile: NDArray[np.uint8]
    conditions: frozenset[Condition]


class _Unscored(NamedTuple):
    sha256: bytes
    looks: list[_Look]


class _Result(NamedTuple):
    sha256: bytes
    sightings: tuple[Sighting, ...]
    is_cached: bool


def workers_for(classifier: Classifier | AdaptedClassifier) -> int:
    """Threads that use every CPU when each inference takes the classifier's own number of them."""
    return max(1, available_cpus() // classifier.threads)


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV's own threads out of a loop that already uses every core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def score(
    manifest: Manifest,
    classifier: Classifier | AdaptedClassifier,
    *,
    workers: int,
    cache: ScoreCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scored:
    """Judge every example, in the manifest's order.

    Raises ManifestError, after all were tried, naming those that cannot be read; ModelError.
    """
    started_s = time.perf_counter()
    examples, worker = manifest.examples, _Worker(classifier, cache)
    judged, problems, digests, n_cached = [], [], [], 0
    with single_threaded_opencv():
        for example, result in zip(examples, _in_parallel(worker, examples, workers), strict=True):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                digests.append((example.path.encode(), result.sha256))
                n_cached += len(result.sightings) if result.is_cached else 0
                verdict = replayed(result.sightings, classifier.card.thresholds)
                judged.append(Judged(example, result.sightings, verdict))
            if progress is not None:
                progress(len(judged) + len(problems), len(examples))
    if problems:
        raise ManifestError(manifest.path, problems)
    seconds = time.perf_counter() - started_s
    pictures = hashlib.sha256(b"".join(part for pair in sorted(digests) for part in pair)).hexdigest()
    return Scored(tuple(judged), n_cached, seconds, pictures)


def replayed(sightings: Sequence[Sighting], thresholds: Thresholds) -> Verdict:
    """The verdict of `pipeline.look` on frames that come one by one: it stops when certain."""
    verdict = judge(sightings[:1], thresholds)
    for n in range(2, len(sightings) + 1):
        if verdict.is_certain:
            break
        verdict = judge(sightings[:n], thresholds)
    return verdict


def _in_parallel(worker: _Worker, examples: Sequence[Example], workers: int) -> Iterator[_Result | Problem]:
    """Results in the order of the examples; at most two batches a worker are under way or wait to be taken."""
    batches = (examples[at : at + MAX_BATCH] for at in range(0, len(examples), MAX_BATCH))
    with ThreadPoolExecutor(workers, thread_name_prefix="scenecheck-eval") as pool:
        pending = deque(pool.submit(worker, b) for b in itertools.islice(batches, 2 * workers))
        try:
            while pending:
                yield from pending.popleft().result()
                pending.extend(pool.submit(worker, b) for b in itertools.islice(batches, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(slots=True)
class _Worker:
    """Judges one batch of examples on the calling thread."""

    classifier: Classifier | AdaptedClassifier
    cache: ScoreCache | None
    size: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.classifier.card.input
        self.size = (spec.height, spec.width)

    def __call__(self, batch: Sequence[Example]) -> list[_Result | Problem]:
        found = [self._looked(example) for example in batch]
        unscored = [f for f in found if isinstance(f, _Unscored)]
        if not unscored:
            return [f for f in found if not isinstance(f, _Unscored)]
        tile_batch = np.stack([look.tile for f in unscored for look in f.looks])
        p_indoor = iter(self.classifier.score(tile_batch).p_indoor.tolist())
        results = [f if not isinstance(f, _Unscored) else _scored(f, p_indoor) for f in found]
        if self.cache is not None:
            self.cache.put(
                [(r.sha256, r.sightings) for r in results if isinstance(r, _Result) and not r.is_cached]
            )
        return results

    def _looked(self, example: Example) -> _Unscored | _Result | Problem:
        """Frames of an example that want a score, its cached result, or why it cannot be judged."""
        try:
            with example.file.open("rb") as file:
                head = file.read(16)
                data = head + file.read(MAX_BYTES + 1 - len(head)) if kind_of(head) else None
                digest = _digest(file, head if data is None else data)
            known = None if self.cache is None else self.cache.get(digest)
            if known is not None:
                return _Result(digest, known, is_cached=True)
            if data is None:
                return _Unscored(digest, self._clip(example.file))
            return _Unscored(digest, [self._still(data, example.path)])
        except SourceError as e:
            return Problem(example.line, "path", f"{e.code}: {e}")
        except OSError as e:
            return Problem(example.line, "path", f"{example.path}: {e.strerror or 'cannot be read'}")

    def _still(self, data: bytes, name: str) -> _Look:
        batch = tiles([decode_picture(data, name)], self.size)
        found = conditions(batch, damaged=[False], stale=[False], live=[False], at_s=[0.0])[0]
        return _Look(0.0, batch[0], found)

    def _clip(self, path: Path) -> list[_Look]:
        """The frames that `pipeline.look` would see if it never became certain. Raises SourceError."""
        looks: list[_Look] = []
        previous: tuple[NDArray[np.uint8], float] | None = None
        with open_source(path, SourceOptions(frames=CLIP_FRAMES, deadline_s=CLIP_DEADLINE_S)) as source:
            for frame in source:
                look = self._frame(frame, previous)
                previous = remember(previous, look.tile, look.at_s)
                looks.append(look)
                n_fit = sum(not look.conditions for look in looks)
                if n_fit >= CLIP_FRAMES or len(looks) >= UNFIT_ALLOWANCE * CLIP_FRAMES:
                    break
        return looks

    def _frame(self, frame: Frame, previous: tuple[NDArray[np.uint8], float] | None) -> _Look:
        batch = tiles([frame.picture], self.size)
        found = conditions(
            batch,
            damaged=[frame.is_damaged],
            stale=[frame.is_stale],
            live=[frame.is_live],
            at_s=[frame.at_s],
            previous=previous,
        )[0]
        return _Look(frame.at_s, batch[0], found)


def _scored(unscored: _Unscored, p_indoor: Iterator[float]) -> _Result:
    """The result of frames whose scores come next."""
    sightings = tuple(Sighting(look.at_s, next(p_indoor), look.conditions) for look in unscored.looks)
    return _Result(unscored.sha256, sightings, is_cached=False)


def _digest(file: BinaryIO, start: bytes) -> bytes:
    """SHA-256 of ``start`` and what is left of the file."""
    digest = hashlib.sha256(start)
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class BareSpeed:
    """Decode, resize and inference alone: pictures a second on all workers, CPU milliseconds a picture."""

    pictures_per_s: float
    prepare_ms: float
    inference_ms: float


def bare_speed(
    examples: Sequence[Example],
    classifier: Classifier | AdaptedClassifier,
    *,
    workers: int,
    n: int = MAX_BATCH,
) -> BareSpeed | None:
    """Measure on ``n`` stills a worker; None where the manifest has no stills.

    Where inference runs on threads or devices of its own, its time is the wall's, else the thread's CPU time,
    which neighbours on the same machine do not stretch.
    """
    stills = list(itertools.islice((e for e in examples if _is_still(e.file)), workers * n))
    if not stills:
        return None
    is_own_thread = classifier.provider == "cpu" and classifier.threads == 1
    clock = time.thread_time if is_own_thread else time.perf_counter
    spec = classifier.card.input

    def run(files: Iterable[Example]) -> tuple[float, float]:
        started_s = clock()
        batch = tiles([decode_picture(e.file.read_bytes(), e.path) for e in files], (spec.height, spec.width))
        prepared_s = clock()
        classifier.score(batch)
        return prepared_s - started_s, clock() - prepared_s

    cycle = itertools.cycle(stills)
    shares = [[next(cycle) for _ in range(n)] for _ in range(workers)]
    with single_threaded_opencv(), ThreadPoolExecutor(workers) as pool:
        started_s = time.perf_counter()
        prepare, infer = zip(*pool.map(run, shares), strict=True)
        seconds = time.perf_counter() - started_s
    total = workers * n
    return BareSpeed(total / seconds, sum(prepare) / total * 1e3, sum(infer) / total * 1e3)


def _is_still(path: Path) -> bool:
    with path.open("rb") as file:
        return kind_of(file.read(16)) is not None
