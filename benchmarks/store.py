"""What keeping a city's results costs, and how fast they come back, on each kind of database.

    python -m benchmarks.store [--feeds 10000] [--db ADDRESS] [--json]

Without ``--db``: an SQLite file in a temporary folder and, where it is installed, a PostgreSQL of our own,
both waiting for the disk at every commit. Results are recorded as an audit does: whatever came since the
last commit goes into the next one, here 1, 8 or 64 at a time. Each has a mosaic and findings, every second
one a reference of 8.5 kB; a run of as many results stands before it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenecheck.records import Finding, FindingKind, Mosaic, Reference, Result, RunSpec
from scenecheck.store import Store, open_store
from scenecheck.types import Label
from scenecheck.view import GRID, Comparison, View
from tests.postgres import NotInstalledError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = RunSpec("a" * 64, "scenecheck", "1", "b" * 64, 1)
SAME = Comparison(True, 0.99, 0.0, 0.0, 0.0, 1.0, "structure+embedding")


@contextlib.contextmanager
def databases(address: str | None) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as stack:
        if address is not None:
            yield {"given": address}
            return
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = {"sqlite": str(Path(folder) / "store.db")}
        with contextlib.suppress(NotInstalledError):
            found["postgresql"] = stack.enter_context(PostgresServer()).fresh()
        yield found


def results(n: int) -> list[Result]:
    now = datetime.now(UTC)
    random = np.random.default_rng(0)
    lines = (Finding(FindingKind.MOVED, now, "no longer shows the view: how far cannot be said"),)
    return [
        Result(
            f"feed-{k:06}",
            Label.STREET,
            Label.STREET,
            "5 frames, the most indoor one 1.2%",
            0.01,
            now,
            1.5,
            n_frames=5,
            comparison=SAME,
            mosaic=Mosaic(random.bytes(432), random.bytes(144)),
            name=f"Camera {k}",
            address=f"rtsp://10.0.{k // 256}.{k % 256}/stream1",
            findings=lines if k % 10 == 0 else (),
        )
        for k in range(n)
    ]


def references(found: list[Result], run: int) -> dict[str, Reference]:
    random = np.random.default_rng(0)
    field = random.integers(-127, 128, (2, *GRID), dtype=np.int8)
    view = View(random.integers(-127, 128, 1280, dtype=np.int8), field)
    return {r.feed: Reference(r.feed, Label.STREET, view, r.finished_at, created_run=run) for r in found[::2]}


def measure(store: Store, n: int) -> dict[str, Any]:
    found = results(n)
    with store.begin(SPEC) as run:
        run.record(found)
        run.finish()
    figures: dict[str, Any] = {}
    for size in (1, 8, 64):
        with store.begin(SPEC) as run:
            views = references(found, run.run) if size == 64 else {}
            began, cpu = time.perf_counter(), time.process_time()
            for i in range(0, n, size):
                batch = found[i : i + size]
                assert len(run.record(batch, [views[r.feed] for r in batch if r.feed in views])) == len(batch)
            wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
            figures[f"record_{size}"] = {
                "results_per_s": round(n / wall_s),
                "ms_per_commit": round(1e3 * wall_s / (n / size), 3),
                "cpu_ms_per_result": round(1e3 * cpu_s / n, 3),
            }
            run.finish()
    for name, read in (
        ("table_s", lambda: store.table(run.run)),
        ("trails_s", lambda: list(store.trails([r.feed for r in found]).values())),
        ("runs_s", lambda: store.runs() * n),
    ):
        began = time.perf_counter()
        assert len(read()) >= n
        figures[name] = round(time.perf_counter() - began, 3)
    with store.begin(SPEC) as run:
        began = time.perf_counter()
        feeds = [r.feed for r in found]
        known = sum(len(run.memory(feeds[i : i + 500])) for i in range(0, n, 500))
        assert known == len(run.pending(feeds)) == n
        figures["memory_s"] = round(time.perf_counter() - began, 3)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feeds", type=int, default=10_000)
    parser.add_argument("--db")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report: dict[str, Any] = {"feeds": options.feeds, "cores": os.cpu_count()}
    with databases(options.db) as found:
        for kind, address in found.items():
            with open_store(address) as store:
                report[kind] = measure(store, options.feeds)
            if kind == "sqlite":
                report[kind]["bytes_per_result"] = round(Path(address).stat().st_size / (4 * options.feeds))
    if options.json:
        print(json.dumps(report))
        return
    for kind, figures in report.items():
        print(f"{kind}: {figures}" if not isinstance(figures, dict) else f"{kind}:")
        for name, figure in figures.items() if isinstance(figures, dict) else ():
            print(f"  {name}: {figure}")


if __name__ == "__main__":
    main()
