"""Does the plane route beat the obvious one, and is it closer to the truth?

Races `scenecheck.preprocess.tiles` against `to_ndarray('rgb24')` + `cv2.resize(INTER_AREA)` + float
NCHW, both sides in one run and on one thread, interleaved so that a busy machine slows both, and
measures the error of both against a full-chroma float area reference.

    python -m benchmarks.preprocess [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from scenecheck.preprocess import TILE_SIZE, tiles
from scenecheck.types import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_ROUNDS = 16
N_CALLS_PER_ROUND = 30
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
TARGETS = {"720p": 3.0, "1080p": 6.0}
MAX_ERROR_LEVELS = 0.5
KR, KB = 0.299, 0.114  # BT.601: what swscale takes for untagged video at any size


def camera_frame(width: int, height: int) -> av.VideoFrame:
    """A yuv420p frame with smooth shapes, edges, saturated colour and sensor noise."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    scene = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for _ in range(60):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        colour = tuple(int(v) for v in rng.integers(30, 226, 3))
        cv2.rectangle(scene, (x, y), (x + width // 12, y + height // 9), colour, -1)
    noisy = np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype(np.uint8)
    return av.VideoFrame.from_ndarray(noisy, format="rgb24").reformat(format="yuv420p", threads=1)


def planes(frame: av.VideoFrame) -> tuple[NDArray[np.uint8], ...]:
    """The frame's planes as views ``[h, w]`` without their padding."""
    return tuple(
        np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width] for p in frame.planes
    )


def plain(frame: av.VideoFrame) -> NDArray[np.float32]:
    """The obvious route, to float ``[1, 3, H, W]``."""
    rgb = frame.reformat(format="rgb24", threads=1).to_ndarray()
    small = cv2.resize(rgb, TILE_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)


def ours(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The plane route, plane views included."""
    return tiles([Picture(planes(frame), "yuv", matrix="bt601")])


def reference(frame: av.VideoFrame) -> NDArray[np.float64]:
    """Chroma brought to full size, exact matrix, clipped, exact area mean; ``float64 [3, H, W]``."""
    y, u, v = (p.astype(np.float64) for p in planes(frame))
    u, v = (np.repeat(np.repeat(c, 2, 0), 2, 1)[: y.shape[0], : y.shape[1]] for c in (u, v))
    luma, cb, cr = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    kg = 1 - KR - KB
    red, blue = luma + 2 * (1 - KR) * cr, luma + 2 * (1 - KB) * cb
    green = (luma - KR * red - KB * blue) / kg
    rgb = np.clip(np.stack([red, green, blue]), 0, 255)
    rows, columns = (areas(k, n) for k, n in zip(y.shape, TILE_SIZE, strict=True))
    return rows @ rgb @ columns.T


def areas(n_samples: int, n: int) -> NDArray[np.float64]:
    """The share of each of ``n`` equal areas that each sample fills, ``[n, n_samples]``."""
    size = n_samples / n
    area, sample = np.arange(n)[:, None], np.arange(n_samples)[None]
    inside = np.minimum((area + 1) * size, sample + 1) - np.maximum(area * size, sample)
    return np.maximum(inside, 0) / size


def race(*sides: Callable[[], object]) -> list[float]:
    """Milliseconds of CPU a call of each side: the best of many rounds taken in turns.

    The time of this thread alone, and the best round, because neighbours on a shared machine only
    ever add to it.
    """
    rounds: list[list[float]] = [[] for _ in sides]
    for _ in range(N_ROUNDS):
        for side, times in zip(sides, rounds, strict=True):
            side()
            start = time.thread_time()
            for _ in range(N_CALLS_PER_ROUND):
                side()
            times.append((time.thread_time() - start) / N_CALLS_PER_ROUND * 1e3)
    return [min(times) for times in rounds]


def measure(name: str) -> dict[str, Any]:
    """Times, ratio and mean errors (grey levels) at one size."""
    frame = camera_frame(*SIZES[name])
    truth = reference(frame)
    plain_ms, ours_ms = race(lambda: plain(frame), lambda: ours(frame))
    error_plain, error_ours = (float(np.abs(side(frame)[0] - truth).mean()) for side in (plain, ours))
    ratio = plain_ms / ours_ms
    return {
        "size": name,
        "plain_ms": round(plain_ms, 3),
        "ours_ms": round(ours_ms, 3),
        "ratio": round(ratio, 2),
        "ratio_target": TARGETS[name],
        "error_plain": round(error_plain, 3),
        "error_ours": round(error_ours, 3),
        "met": ratio >= TARGETS[name] and error_ours <= MAX_ERROR_LEVELS,
    }


def main() -> int:
    """Print the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows = [measure(name) for name in SIZES]
    if arguments.json:
        print(json.dumps({"benchmark": "preprocess", "machine": platform.processor(), "rows": rows}))
    else:
        print(f"preprocess, one thread, tile {TILE_SIZE[1]}x{TILE_SIZE[0]}, {platform.machine()}")
        print("size    rgb24+resize  planes   ratio  target   mean error (was)  allowed")
        for r in rows:
            print(
                f"{r['size']:6} {r['plain_ms']:9.3f} ms {r['ours_ms']:7.3f} ms {r['ratio']:5.2f}x  "
                f">= {r['ratio_target']:.0f}x     {r['error_ours']:.3f} ({r['error_plain']:.3f})"
                f"    <= {MAX_ERROR_LEVELS}   {'met' if r['met'] else 'MISSED'}"
            )
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
