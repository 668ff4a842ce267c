"""An audit as its tests meet it: an inventory, a store, the command in a process of its own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from scenecheck.audit import Audited, Limits, audit
from scenecheck.audit.engine import LocalEngine
from scenecheck.audit.messages import ModelChoice, ModelIdentity
from scenecheck.audit.worker import serve
from scenecheck.feeds import load
from scenecheck.records import Result
from scenecheck.store import open_store

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "scenecheck"]
PATIENCE_S = 100.0
"""Longest wait of a test for something that takes a second or two on a machine that is not busy."""

Row = tuple[str, str, str, float | None, str | None]


def pictures(n: int) -> list[str]:
    """Inventory lines of ``n`` feeds that are sample pictures."""
    found = sorted((ROOT / "samples").glob("*.jpg"))
    return [f"{{id: picture-{i:03}, url: '{found[i % len(found)]}'}}" for i in range(n)]


def write_inventory(folder: Path, feeds: Sequence[str], defaults: str = "{}") -> Path:
    path = folder / "feeds.yaml"
    lines = ["version: 1", f"defaults: {defaults}", "feeds:", *(f"  - {feed}" for feed in feeds)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(db: Path, run: int = 1) -> list[Row]:
    """What a run found, without its times: equal for equal pictures."""
    with open_store(str(db)) as store:
        return [row_of(result) for result in store.table(run)]


def row_of(result: Result) -> Row:
    error = None if result.error is None else result.error.code
    return result.feed, result.label.value, result.reason, result.p_indoor, error


def n_stored(db: Path) -> int:
    """How many results there are; 0 also while there is no table yet."""
    if not db.exists():
        return 0
    with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def wait_for(condition: Callable[[], object], what: str) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_s, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.01)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command to its end; never a traceback."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def descendants(pid: int) -> Iterator[int]:
    """Processes below ``pid`` that live now."""
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from descendants(child)
    except OSError:
        return


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


class Watcher:
    """A Progress that calls ``on_stored`` with how many results are stored, and keeps what it is told."""

    def __init__(self, on_stored: Callable[[int], object] = lambda _: None) -> None:
        self._on_stored = on_stored
        self.n = 0
        self.said: list[str] = []

    def begin(self, run: int, model: ModelIdentity, *, total: int, done: int) -> None:
        self.n = done

    def stored(self, results: Sequence[Result], *, in_flight: int) -> None:
        self.n += len(results)
        self._on_stored(self.n)

    def standstill(self, text: str) -> None:
        self.said.append(text)


def audit_here(
    inventory: Path,
    db: Path | str,
    model: Path,
    *,
    on_stored: Callable[[int, LocalEngine], object] = lambda *_: None,
    resume: bool = False,
    workers: int = 1,
    jobs: int = 32,
) -> Audited:
    """An audit in this process, its workers in processes of their own."""
    limits = Limits(workers=workers, jobs=jobs, per_host=4)
    engine = LocalEngine(ModelChoice(model), n_threads=jobs)
    watcher = Watcher(lambda n: on_stored(n, engine))
    with closing(engine), open_store(str(db)) as store:
        return audit(load(inventory), store, engine, limits=limits, progress=watcher, resume=resume)


def serve_poisoned(*arguments: object) -> None:
    """A worker's life in which the feed ``poison`` crashes the process, as a decoder might."""
    from scenecheck.audit import worker

    judge = worker.judge_feed

    def crash(feed: object, *rest: object, **more: object) -> object:
        if getattr(feed, "id", "") == "poison":
            os.kill(os.getpid(), signal.SIGSEGV)
        return judge(feed, *rest, **more)  # type: ignore[arg-type]

    worker.judge_feed = crash  # type: ignore[assignment]
    serve(*arguments)  # type: ignore[arg-type]
