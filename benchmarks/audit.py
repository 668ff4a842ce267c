"""What an audit of N feeds costs, beside the least it could cost, measured in one run.

    python -m benchmarks.audit --feeds N [--broken 0.2] [--json]

Cameras play 360p H.264 with a keyframe a second, from a process of their own (`benchmarks.cameras`); of a
hundred feeds five are dead and two misbehave, in every way of the test server in turn; ``--broken SHARE``
makes that share silent, dead, refusing or dripping instead. Each feed has a host of its own in 127.0.0.0/8.

CPU is that of all the audit's processes, less what one audit of a single dead feed takes (``startup_cpu_s``),
over the healthy feeds. The floor are bare PyAV loops in one warm process for each core, as busy as the audit:
open, decode the same two keyframes, classify. ``cv2.VideoCapture`` and one ``ffmpeg`` process per feed look at as
many seconds of the same feeds, and classify as many frames; where there is no ``ffmpeg`` its figure is null.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from tests.servers.rtsp_faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
CLIPS = {"street": "junction-1.mp4", "indoor": "living-room-1.mp4"}
INDOOR_EVERY = 50
N_SIDES = 120
"""Feeds that the floor and its rivals look at."""
BROKEN = ("silent-accept", "dead", "401", "drip-rtp", "silent-describe", "drip-header", "no-media", "stall")
FPS = 25


def make_clip(source: Path, target: Path) -> None:
    """The pictures of a sample as a camera sends them: 25 a second, 360p, a keyframe a second."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        parameters = "keyint=25:min-keyint=25:scenecut=0:bframes=0:threads=1"
        stream: Any = made.add_stream(
            "libx264",
            rate=FPS,
            options={"preset": "veryfast", "crf": "26", "x264-params": parameters},
        )
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for n, frame in enumerate(given.decode(video=0)):
            frame.pts, frame.time_base = n, Fraction(1, FPS)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))


@contextlib.contextmanager
def process(*command: str | Path) -> Iterator[str]:
    """A server in a process of its own; its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip()
        finally:
            running.terminate()


def host(number: int) -> str:
    return f"127.{1 + number // 64516}.{number // 254 % 254}.{1 + number % 254}"


def inventory(n: int, *, port: int, faulty_port: int, broken: float | None) -> tuple[str, dict[str, str]]:
    """The inventory's text, and the right label of every healthy feed."""
    lines, right = ["version: 1", "feeds:"], {}
    n_bad = 0
    for k in range(n):
        bad = _misbehaviour(k, broken, n_bad)
        name = f"feed-{k:06}"
        if bad is None:
            right[name] = "indoor" if k % INDOOR_EVERY == 0 else "street"
            url = f"rtsp://{host(k)}:{port}/{right[name]}/{k}"
        else:
            n_bad += 1
            url = (
                f"rtsp://{host(k)}:9/dead"
                if bad == "dead"
                else f"rtsp://{host(k)}:{faulty_port}/street?fault={bad}"
            )
        lines.append(f"  - {{id: {name}, url: '{url}'}}")
    return "\n".join(lines) + "\n", right


def _misbehaviour(k: int, broken: float | None, n_bad: int) -> str | None:
    """What is wrong with feed ``k``; spread evenly."""
    if broken is not None:
        return BROKEN[n_bad % len(BROKEN)] if int((k + 1) * broken) > int(k * broken) else None
    if k % 20 == 7:
        return "dead"
    return list(FAULTS)[k // 50 % len(FAULTS)] if k % 50 == 33 else None


def run_audit(path: Path, db: Path) -> dict[str, Any]:
    """One audit in a process of its own: its report, seconds, CPU seconds of all its processes, peak memory."""
    command = [sys.executable, "-m", "scenecheck", "audit", str(path), "--db", str(db), "--json"]
    began_s, peak = time.perf_counter(), [0, 0]
    with (db.parent / "stderr").open("wb") as errors:
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors)
        done = threading.Event()
        watcher = threading.Thread(target=_watch_memory, args=(running.pid, done, peak))
        watcher.start()
        assert running.stdout is not None
        said = running.stdout.read()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        watcher.join()
    if running.returncode not in {0, 1, 3} or not said:
        raise RuntimeError((db.parent / "stderr").read_text()[-2000:])
    return {
        "report": json.loads(said),
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": round(peak[0] / 1024),
        "peak_pss_mb": round(peak[1] / 1024),
    }


def _watch_memory(pid: int, done: threading.Event, peak: list[int]) -> None:
    """Largest sum over a process and its descendants: resident memory, and with shared pages counted once (kB)."""
    while not done.wait(0.5):
        sums = [0, 0]
        for one in _tree(pid):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{one}/smaps_rollup").read_text()
                for i, name in enumerate(("Rss", "Pss")):
                    sums[i] += int(re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
        peak[:] = [max(a, b) for a, b in zip(peak, sums, strict=True)]


def _tree(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
    return found


_SIDE = r"""
import json, os, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
import av, cv2, numpy as np
from scenecheck.classifier import Classifier
from scenecheck.planes import picture_of
from scenecheck.preprocess import tiles
from scenecheck.types import Picture
kind, fps, urls = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
classifier = Classifier(threads=1)
size = (classifier.card.input.height, classifier.card.input.width)
def classify(picture):
    return float(classifier.score(tiles([picture], size)).p_indoor[0])
def floor(url):
    n = 0
    with av.open(url, options={"rtsp_transport": "tcp", "probesize": "32"}) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            classify(picture_of(frame))
            n += 1
            if n == 2:
                return
def capture(url):
    opened = cv2.VideoCapture(url, cv2.CAP_FFMPEG)
    for n in range(fps + 1):
        good, frame = opened.read()
        assert good, url
        if n in (0, fps):
            classify(Picture((frame,), "bgr"))
    opened.release()
def ffmpeg(url):
    w, h = 640, 360
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-skip_frame", "nokey", "-i", url, "-frames:v",
               "2", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    said = subprocess.run(command, capture_output=True, check=True).stdout
    for frame in np.frombuffer(said, np.uint8).reshape(-1, h, w, 3):
        classify(Picture((frame,), "bgr"))
side = {"floor": floor, "cv2": capture, "ffmpeg": ffmpeg}[kind]
side(urls[0])
def cpu():
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system
began = cpu()
with ThreadPoolExecutor(16) as pool:
    list(pool.map(side, urls[1:]))
print(json.dumps(1e3 * (cpu() - began) / len(urls[1:])))
"""


def side(kind: str, urls: list[str]) -> float | None:
    """CPU ms per feed of another way to look at feeds; None where its program is missing."""
    if kind == "ffmpeg" and shutil.which("ffmpeg") is None:
        print("no ffmpeg program here: its figure is left out", file=sys.stderr)
        return None
    environment = {**os.environ, "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp"}
    n = os.cpu_count() or 1
    shares = [[urls[0], *urls[1 + i :: n]] for i in range(n)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _SIDE, kind, str(FPS), *share],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
        )
        for share in shares
    ]
    figures = [float(json.loads(one.communicate()[0])) for one in running]
    return statistics.fmean(figures)


def measure(n: int, *, broken: float | None, sides: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        clips = [folder / f"{label}.mp4" for label in CLIPS]
        for clip, sample in zip(clips, CLIPS.values(), strict=True):
            make_clip(ROOT / "samples" / sample, clip)
        port = int(stack.enter_context(process("benchmarks.cameras", *clips)))
        faulty = stack.enter_context(process("tests.servers.rtsp", "--host", "0.0.0.0", clips[0]))
        text, right = inventory(
            n, port=port, faulty_port=int(faulty.rpartition(":")[2].split("/")[0]), broken=broken
        )
        path, one = folder / "feeds.yaml", folder / "one.yaml"
        path.write_text(text)
        one.write_text("version: 1\nfeeds: [{id: dead, url: 'rtsp://127.0.0.1:9/dead'}]\n")
        start = run_audit(one, folder / "one.db")
        main = run_audit(path, folder / "city.db")
        urls = [f"rtsp://{host(k)}:{port}/street/{k}" for k in range(sides + 1)]
        cpu = {kind: side(kind, urls) if sides else None for kind in ("floor", "ffmpeg", "cv2")}
        with contextlib.closing(sqlite3.connect(folder / "city.db")) as db:
            labels = dict(db.execute("SELECT feed, label FROM results").fetchall())
            n_rows = db.execute("SELECT count(*) FROM results").fetchone()[0]
    wrong = Counter((right[f], labels.get(f)) for f in right if labels.get(f) != right[f])
    report = main["report"]
    return {
        "feeds": n,
        "verdicts": report["verdicts"],
        "lost": n - n_rows,
        "wrong": wrong.total(),
        "wrong_as": {f"{a} as {b}": k for (a, b), k in wrong.items()},
        "wall_seconds": round(main["wall_s"], 1),
        "cpu_ms_per_feed": round(1e3 * (main["cpu_s"] - start["cpu_s"]) / max(len(right), 1), 1),
        "startup_cpu_s": round(start["cpu_s"], 2),
        "startup_wall_s": round(start["wall_s"], 2),
        **{f"{k}_cpu_ms_per_feed": None if v is None else round(v, 1) for k, v in cpu.items()},
        "peak_rss_mb": main["peak_rss_mb"],
        "peak_pss_mb": main["peak_pss_mb"],
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument(
        "--broken", type=float, help="share of feeds that are silent, dead, refusing or dripping"
    )
    parser.add_argument(
        "--sides", type=int, default=N_SIDES, help="feeds for the floor and its rivals; 0: none"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.feeds, broken=options.broken, sides=options.sides)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {value}")
    if found["floor_cpu_ms_per_feed"]:
        ratio = found["cpu_ms_per_feed"] / found["floor_cpu_ms_per_feed"]
        print(f"{'of the floor':24} {ratio:.2f} (≤ 1.3)")


if __name__ == "__main__":
    main()
