"""What does a picture cost in the classifier: by batch, by threads, and with or without spinning?

Batches and threads are measured on `scenecheck.classifier.Classifier` as it is used. Spinning is
measured at a camera's pace, a picture every 40 ms, in two sessions that differ in nothing else: there
idle threads burn what the table of full speed cannot show.

    python -m benchmarks.inference [--model FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from scenecheck.card import card_path
from scenecheck.classifier import Classifier
from scenecheck.errors import ScenecheckError
from scenecheck.runtime import available_cpus

BATCHES = (1, 8, 32)
THREADS = (1, 2)
N_PICTURES = 64
N_ROUNDS = 3
PACE_S = 0.04
N_PACED = 50


def random_tiles(n: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Tiles ``uint8 [n, 3, height, width]``; the time of a convolution does not depend on their content."""
    return np.random.default_rng(0).integers(0, 256, (n, 3, height, width), dtype=np.uint8)


def full_speed(model: Path) -> list[dict[str, Any]]:
    """Milliseconds a picture (wall and CPU, best of the rounds) for each batch and number of threads."""
    classifiers = {threads: Classifier(model, threads=threads) for threads in THREADS}
    spec = next(iter(classifiers.values())).card.input
    tiles = random_tiles(max(BATCHES), spec.height, spec.width)
    best: dict[tuple[int, int], tuple[float, float]] = {}
    for _ in range(N_ROUNDS):  # in turns, so that a busy neighbour slows all alike
        for threads, classifier in classifiers.items():
            for batch in BATCHES:
                part = tiles[:batch]
                classifier.score(part)
                wall_s, cpu_s = time.perf_counter(), time.process_time()
                for _ in range(N_PICTURES // batch):
                    classifier.score(part)
                spent = (time.perf_counter() - wall_s, time.process_time() - cpu_s)
                n = N_PICTURES // batch * batch
                ms = (spent[0] / n * 1e3, spent[1] / n * 1e3)
                best[threads, batch] = min(best.get((threads, batch), ms), ms)
    for classifier in classifiers.values():
        classifier.close()
    return [
        {"threads": t, "batch": b, "wall_ms": round(wall, 2), "cpu_ms": round(cpu, 2)}
        for (t, b), (wall, cpu) in sorted(best.items())
    ]


def paced_cpu(model: Path) -> dict[str, float]:
    """CPU milliseconds a picture at a camera's pace with two threads, without and with spinning."""
    with Classifier(model, threads=1) as classifier:
        spec, data = classifier.card.input, classifier.model_path.read_bytes()
    tile = random_tiles(1, spec.height, spec.width)
    cpu_ms = {}
    for name, spins in (("off", "0"), ("on", "1")):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 2
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", spins)
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        samples = []
        session.run(None, {"tiles": tile})
        for _ in range(N_PACED):
            start_s, cpu_s = time.perf_counter(), time.process_time()
            session.run(None, {"tiles": tile})
            time.sleep(max(0.0, PACE_S - (time.perf_counter() - start_s)))
            samples.append((time.process_time() - cpu_s) * 1e3)
        cpu_ms[name] = statistics.median(samples)
        del session  # its threads must not spin while the other is measured
    return cpu_ms


def main() -> int:
    """Print the tables; the exit code of the error when there is no intact model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, help="card (.json) or model (.onnx); default: the bundled one")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    try:
        model = card_path(arguments.model)
        rows, paced = full_speed(model), paced_cpu(model)
    except ScenecheckError as e:
        print(f"{e.code}: {e} (try: {e.try_})", file=sys.stderr)
        return e.exit_code
    ratio = paced["on"] / paced["off"]
    if arguments.json:
        spinning = {name: round(value, 2) for name, value in paced.items()}
        print(
            json.dumps(
                {
                    "benchmark": "inference",
                    "cpus": available_cpus(),
                    "load": os.getloadavg()[0],
                    "rows": rows,
                    "paced_cpu_ms": {"spinning": spinning, "ratio": round(ratio, 2)},
                }
            )
        )
        return 0
    print(
        f"inference, {available_cpus()} CPUs, load {os.getloadavg()[0]:.1f}, ONNX Runtime {ort.__version__}"
    )
    print("threads  batch  wall ms/picture  CPU ms/picture")
    for r in rows:
        print(f"{r['threads']:7} {r['batch']:6} {r['wall_ms']:16.2f} {r['cpu_ms']:15.2f}")
    print(
        f"a picture every {PACE_S * 1e3:.0f} ms, 2 threads: {paced['off']:.1f} ms CPU without spinning "
        f"(as scenecheck runs), {paced['on']:.1f} with: {ratio:.1f}x"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
