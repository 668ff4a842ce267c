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
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from scenecheck.classifier import MAX_BATCH
from scenecheck.conditions import conditions, remember
from scenecheck.errors import SourceError
from scenecheck.evaluation.manifest import ManifestError, Problem
from scenecheck.evaluation.results import Judged
from scenecheck.pictures import MAX_BYTES, decode_picture, kind_of
from scenecheck.pipeline import UNFIT_ALLOWANCE
from scenecheck.preprocess import TILE_SIZE, tiles
from scenecheck.runtime import available_cpus
from scenecheck.source import SourceOptions, open_source
from scenecheck.types import Condition, Sighting
from scenecheck.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scenecheck.adapter import Model
    from scenecheck.evaluation.cache import ScoreCache
    from scenecheck.evaluation.manifest import Example, Manifest
    from scenecheck.types import Frame, Picture, Scores, Thresholds, Verdict

CLIP_FRAMES = 5
"""Frames looked at in a clip: what `scenecheck check` does unless told."""

CLIP_DEADLINE_S = 120.0
"""A file on this machine that brings no frames for so long will not bring any."""

_READ_BYTES = 1 << 20

LAP = 8
"""Pictures timed together: long enough for the clock, short enough to fall between two disturbances."""

MAX_HELD_BYTES = 64 << 20
"""Encoded pictures that a worker keeps between hashing and decoding; beyond, they are read twice."""


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


class _Read(NamedTuple):
    """A file's SHA-256, and its bytes where it is a still small enough to be kept."""

    sha256: bytes
    data: bytes | None
    is_still: bool


class _Unscored(NamedTuple):
    sha256: bytes
    looks: list[_Look]


class _Result(NamedTuple):
    sha256: bytes
    sightings: tuple[Sighting, ...]
    is_cached: bool


def workers_for(classifier: Model) -> int:
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
    classifier: Model,
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

    classifier: Model
    cache: ScoreCache | None
    size: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.classifier.card.input
        self.size = (spec.height, spec.width)

    def __call__(self, batch: Sequence[Example]) -> list[_Result | Problem]:
        reads = _read(batch)
        known = {}
        if self.cache is not None:
            known = self.cache.get([r.sha256 for r in reads if isinstance(r, _Read)])
        found: list[_Unscored | _Result | Problem] = []
        for example, read in zip(batch, reads, strict=True):
            if isinstance(read, Problem):
                found.append(read)
            elif read.sha256 in known:
                found.append(_Result(read.sha256, known[read.sha256], is_cached=True))
            else:
                found.append(self._looked(example, read))
        unscored = [f for f in found if isinstance(f, _Unscored)]
        if not unscored:
            return [f for f in found if not isinstance(f, _Unscored)]
        tile_batch = np.stack([look.tile for f in unscored for look in f.looks])
        frames = _sightings([look for f in unscored for look in f.looks], self.classifier.score(tile_batch))
        results = [
            _Result(f.sha256, tuple(itertools.islice(frames, len(f.looks))), is_cached=False)
            if isinstance(f, _Unscored)
            else f
            for f in found
        ]
        if self.cache is not None:
            fresh = [r for r in results if isinstance(r, _Result) and not r.is_cached]
            self.cache.put([(r.sha256, r.sightings) for r in fresh])
        return results

    def _looked(self, example: Example, read: _Read) -> _Unscored | Problem:
        """Frames of an example that want a score, or why it cannot be judged."""
        try:
            if not read.is_still:
                return _Unscored(read.sha256, self._clip(example.file))
            data = example.file.read_bytes() if read.data is None else read.data
            return _Unscored(read.sha256, [self._still(data, example.path)])
        except SourceError as e:
            return Problem(example.line, "path", f"{e.code}: {e}")
        except OSError as e:
            return Problem(example.line, "path", f"{example.path}: {e.strerror or 'cannot be read'}")

    def _still(self, data: bytes, name: str) -> _Look:
        batch, plain = self._tiles(decode_picture(data, name))
        found = conditions(plain, damaged=[False], stale=[False], live=[False], at_s=[0.0])[0]
        return _Look(0.0, batch[0], found)

    def _clip(self, path: Path) -> list[_Look]:
        """The frames that `pipeline.look` would see if it never became certain. Raises SourceError."""
        looks: list[_Look] = []
        previous: tuple[NDArray[np.uint8], float] | None = None
        with open_source(path, SourceOptions(frames=CLIP_FRAMES, deadline_s=CLIP_DEADLINE_S)) as source:
            for frame in source:
                look, plain = self._frame(frame, previous)
                previous = remember(previous, plain, look.at_s)
                looks.append(look)
                n_fit = sum(not look.conditions for look in looks)
                if n_fit >= CLIP_FRAMES or len(looks) >= UNFIT_ALLOWANCE * CLIP_FRAMES:
                    break
        return looks

    def _frame(
        self, frame: Frame, previous: tuple[NDArray[np.uint8], float] | None
    ) -> tuple[_Look, NDArray[np.uint8]]:
        """The look, and the tile by which the next frame's conditions are told."""
        batch, plain = self._tiles(frame.picture)
        found = conditions(
            plain,
            damaged=[frame.is_damaged],
            stale=[frame.is_stale],
            live=[frame.is_live],
            at_s=[frame.at_s],
            previous=previous,
        )[0]
        return _Look(frame.at_s, batch[0], found), plain[0]

    def _tiles(self, picture: Picture) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The model's tile and the one that conditions are told by, each as a batch of one.

        The limits of conditions are for tiles of our size, and are to be the same for every model.
        """
        batch = tiles([picture], self.size)
        return batch, batch if self.size == TILE_SIZE else tiles([picture])


def _read(batch: Sequence[Example]) -> list[_Read | Problem]:
    """Read and hash every file; the bytes of stills are kept up to `MAX_HELD_BYTES`."""
    reads: list[_Read | Problem] = []
    n_bytes = 0
    for example in batch:
        try:
            read = _read_file(example.file)
        except OSError as e:
            what = f"{example.path}: {e.strerror or 'cannot be read'}"
            reads.append(Problem(example.line, "path", what))
            continue
        n_bytes += len(read.data or b"")
        reads.append(read if n_bytes <= MAX_HELD_BYTES else read._replace(data=None))
    return reads


def _read_file(path: Path) -> _Read:
    """Digest of a file, and its bytes if it is a still; of one too large to be decoded, the first part."""
    # Unbuffered: one call for a picture, where a buffer would take three and a copy.
    with path.open("rb", buffering=0) as file:
        start = file.read(_READ_BYTES)
        digest, parts = hashlib.sha256(start), [start]
        is_still = kind_of(start[:16]) is not None
        block = start
        while len(block) == _READ_BYTES:
            block = file.read(_READ_BYTES)
            digest.update(block)
            if is_still and len(parts) * _READ_BYTES <= MAX_BYTES:
                parts.append(block)
    return _Read(digest.digest(), b"".join(parts) if is_still else None, is_still)


def _sightings(looks: Iterable[_Look], scores: Scores) -> Iterator[Sighting]:
    """Frames with their scores, and what the model itself has against them."""
    p_indoor = scores.p_indoor.tolist()
    for i, look in enumerate(looks):
        yield Sighting(look.at_s, p_indoor[i], look.conditions | scores.conditions(i))


@dataclass(frozen=True, slots=True)
class BareSpeed:
    """Decode, resize and inference alone: pictures a second on all workers, CPU milliseconds a picture."""

    pictures_per_s: float
    prepare_ms: float
    inference_ms: float


class _Lap(NamedTuple):
    """Seconds that some pictures took."""

    prepare: float
    infer: float


def bare_speed(examples: Sequence[Example], classifier: Model, *, workers: int) -> BareSpeed | None:
    """Measure on a batch of stills for each worker; None where the manifest has no stills.

    Milliseconds are those of the fastest lap: neighbours on the same machine only ever add. They are the
    thread's CPU time, or the wall's where inference runs on threads or devices of its own.
    """
    stills = list(itertools.islice((e for e in examples if _is_still(e.file)), workers * MAX_BATCH))
    if not stills:
        return None
    is_own_thread = classifier.provider == "cpu" and classifier.threads == 1
    clock = time.thread_time if is_own_thread else time.perf_counter
    spec = classifier.card.input

    def lap(some: Sequence[Example]) -> _Lap:
        started_s = clock()
        batch = np.concatenate(
            [tiles([decode_picture(e.file.read_bytes(), e.path)], (spec.height, spec.width)) for e in some]
        )
        prepared_s = clock()
        classifier.score(batch)
        return _Lap(prepared_s - started_s, clock() - prepared_s)

    cycle = itertools.cycle(stills)
    laps = [[next(cycle) for _ in range(LAP)] for _ in range(workers * MAX_BATCH // LAP)]
    with single_threaded_opencv(), ThreadPoolExecutor(workers) as pool:
        started_s = time.perf_counter()
        found = list(pool.map(lap, laps))
        seconds = time.perf_counter() - started_s
    prepare, infer = (min(times) / LAP * 1e3 for times in zip(*found, strict=True))
    return BareSpeed(LAP * len(laps) / seconds, prepare, infer)


def _is_still(path: Path) -> bool:
    with path.open("rb") as file:
        return kind_of(file.read(16)) is not None
