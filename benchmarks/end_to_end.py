"""What the whole path costs beside its parts, measured side by side in one run.

    python -m benchmarks.end_to_end [--json]

Three questions:

- a first verdict on a live RTSP feed: how much later than the first keyframe is complete? The feed is joined
  in the middle of a GOP, so both wait for it; FFmpeg's default options stand beside them.
- the keyframes of a 720p clip, from file to verdict: how much more than decoding alone plus inference alone?
- `scenecheck --help`: how many times an interpreter that imports click?
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from scenecheck.classifier import Classifier
from scenecheck.decode import StreamDecoder
from scenecheck.pipeline import Looker, look
from scenecheck.preprocess import tiles
from scenecheck.source import SourceOptions, open_source
from scenecheck.types import Thresholds
from tests.servers.media import Clips

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
N_KEYFRAMES = 40
FFMPEG_QUICK = {"rtsp_transport": "tcp", "probesize": "32"}


def interleaved(repeats: int, **sides: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each side, taken in turns so that a noisy machine hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            taken[name].append(side())
    return {name: statistics.median(values) for name, values in taken.items()}


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def first_verdict(classifier: Classifier, clip: Path, repeats: int) -> dict[str, float]:
    """Seconds from opening a live feed, joined in mid-GOP, to its keyframe and to a first verdict."""
    command = [sys.executable, "-m", "tests.servers.rtsp", "--default", "fault=no-burst", str(clip)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()

    def keyframe(options: dict[str, str]) -> float:
        """Until the first keyframe is decoded by a bare PyAV loop."""
        started = time.perf_counter()
        with av.open(url, options=options) as container:
            decoder = StreamDecoder(container.streams.video[0])
            for packet in container.demux(video=0):
                if any(True for _ in decoder.feed(packet)):
                    return time.perf_counter() - started
        raise RuntimeError("the stream ended before its first keyframe")

    def verdict() -> float:
        started = time.perf_counter()
        with open_source(url, SourceOptions()) as source:
            Looker(classifier).look(next(source))
            return time.perf_counter() - started

    def ffmpeg_default() -> float:
        """Until FFmpeg's own default options give a first frame (UDP first, then what comes)."""
        started = time.perf_counter()
        with av.open(url) as container:
            next(container.decode(video=0))
            return time.perf_counter() - started

    try:
        return interleaved(
            repeats, keyframe=lambda: keyframe(FFMPEG_QUICK), verdict=verdict, ffmpeg_default=ffmpeg_default
        )
    finally:
        server.terminate()
        server.wait(timeout=10)


def whole_path(classifier: Classifier, clip: Path, repeats: int) -> dict[str, float]:
    """Seconds for all keyframes of a clip: decoding alone, inference alone, and everything together."""
    options = SourceOptions(frames=N_KEYFRAMES, deadline_s=120.0)

    def frames() -> list[Any]:
        with open_source(clip, options) as source:
            return list(source)

    batch = tiles([frame.picture for frame in frames()])
    if len(batch) != N_KEYFRAMES:
        raise RuntimeError(f"expected {N_KEYFRAMES} keyframes, got {len(batch)}")

    def everything() -> float:
        started = time.perf_counter()
        judgement = look(open_source(clip, options), classifier, frames=N_KEYFRAMES)
        seconds = time.perf_counter() - started
        if len(judgement.verdict.sightings) != N_KEYFRAMES:
            raise RuntimeError(f"looked at {len(judgement.verdict.sightings)} frames, not {N_KEYFRAMES}")
        return seconds

    return interleaved(
        repeats,
        decode=lambda: timed(frames),
        inference=lambda: timed(lambda: [classifier.score(batch[i : i + 1]) for i in range(len(batch))]),
        everything=everything,
    )


def start_up(repeats: int) -> dict[str, float]:
    """Seconds of `scenecheck --help` and of an interpreter that imports click."""

    def run(*command: str | Path) -> Callable[[], float]:
        return lambda: timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT))

    return interleaved(
        repeats,
        help=run(Path(sys.executable).with_name("scenecheck"), "--help"),
        click=run(sys.executable, "-c", "import click"),
    )


def measure(repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, Classifier() as classifier:
        # Never certain, so that every keyframe is looked at.
        undecided = Thresholds(1e-6, 1 - 1e-6)
        classifier.card = classifier.card.model_copy(update={"thresholds": undecided})
        clips = Clips(Path(folder))
        live = clips.make("h264-720p", n_frames=50, gop=25)
        clip = clips.make("h264-720p", n_frames=25 * N_KEYFRAMES, gop=25)
        first = first_verdict(classifier, live, repeats)
        whole = whole_path(classifier, clip, repeats)
    started = start_up(3 * repeats)
    return {
        "machine": f"{platform.machine()}, {classifier.threads} threads",
        "first_verdict_s": first,
        "after_keyframe_ms": 1e3 * (first["verdict"] - first["keyframe"]),
        "whole_path_s": whole,
        "whole_path_ratio": whole["everything"] / (whole["decode"] + whole["inference"]),
        "start_up_s": started,
        "start_up_ratio": started["help"] / started["click"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    found = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    first, whole, started = found["first_verdict_s"], found["whole_path_s"], found["start_up_s"]
    print(f"end to end ({found['machine']})")
    print(f"  first keyframe, bare loop      {first['keyframe']:8.3f} s")
    print(
        f"  first verdict                  {first['verdict']:8.3f} s   {found['after_keyframe_ms']:+.0f} ms (≤ 150)"
    )
    print(f"  first frame, FFmpeg's defaults {first['ffmpeg_default']:8.3f} s")
    print(
        f"  {N_KEYFRAMES} keyframes of 720p: decoding  {whole['decode']:8.3f} s, inference {whole['inference']:.3f} s"
    )
    print(
        f"  from file to verdict           {whole['everything']:8.3f} s   {found['whole_path_ratio']:.2f}x (≤ 1.25)"
    )
    print(
        f"  scenecheck --help              {started['help']:8.3f} s   {found['start_up_ratio']:.2f}x click (≤ 2)"
    )


if __name__ == "__main__":
    main()
