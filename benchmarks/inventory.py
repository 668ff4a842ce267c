"""How long does a city's inventory take to read, as YAML and as CSV?

Writes an inventory of N feeds in both forms, loads each in a fresh process and checks that both say the
same. Seconds are CPU seconds of the loading alone; memory is that process's peak.

    python -m benchmarks.inventory [--feeds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scenecheck.feeds.write import Entry, to_csv, to_yaml

TARGET_S = 10.0
"""For 10,000 feeds in YAML: nothing beside the minutes that judging them takes."""

_LOAD = r"""
import json, re, sys, time
from pathlib import Path
from scenecheck.feeds import load
started = time.process_time()
inventory = load(Path(sys.argv[1]))
seconds = time.process_time() - started
ids = hash(tuple((f.id, str(f.source), f.secret.env, f.tags, f.publish.mask) for f in inventory.feeds))
# Not getrusage: its peak is inherited from the process that started this one.
peak_mb = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps({"feeds": len(inventory.feeds), "seconds": seconds, "peak_mb": peak_mb, "same": ids}))
"""


def entry(number: int) -> Entry:
    """A feed as an operator writes it, with nine fields."""
    return {
        "id": f"smg-{number:06d}",
        "name": f"Simpang {number}",
        "url": f"rtsp://10.{number >> 16}.{number >> 8 & 255}.{number & 255}:554/stream1",
        "user": "viewer",
        "password": {"env": "CITY_PASSWORD"},
        "tags": ["semarang-utara", "junction"],
        "publish": {"hls": f"out/{number}", "snapshot": f"out/{number}.jpg", "mask": "blur"},
    }


def measure(path: Path) -> dict[str, Any]:
    """Load ``path`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )
    return {**json.loads(done.stdout), "bytes": path.stat().st_size}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--feeds", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    entries = [entry(number) for number in range(args.feeds)]
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for form, text in (("yaml", to_yaml(entries)), ("csv", to_csv(entries))):
            path = Path(folder) / f"feeds.{form}"
            path.write_text(text, encoding="utf-8")
            results[form] = measure(path)
    same = results["yaml"].pop("same") == results["csv"].pop("same")
    report = {**results, "same": same, "machine": platform.machine(), "python": platform.python_version()}
    if args.json:
        print(json.dumps(report))
    else:
        for form, result in results.items():
            print(
                f"{form:<5}{result['feeds']:>8,} feeds  {result['bytes'] / 1e6:6.1f} MB  "
                f"{result['seconds']:6.2f} s CPU  {result['peak_mb']:6.0f} MB memory"
            )
        print(f"same feeds from both: {'yes' if same else 'NO'}")
    slow = results["yaml"]["seconds"] > TARGET_S * max(1.0, args.feeds / 10_000)
    return 0 if same and not slow else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
