"""The supervisor with workers that do what a script says, on a clock that jumps: nobody waits here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenecheck.audit.messages import (
    Beat,
    Broken,
    Done,
    Lost,
    Message,
    ModelIdentity,
    Outcome,
    Ready,
    Sign,
    Task,
)
from scenecheck.audit.supervisor import (
    AWAKE_PER_WORKER,
    COMPANY,
    LAG_S,
    LATE_S,
    OVERDUE_S,
    SILENT_S,
    START_S,
    Supervisor,
)
from scenecheck.errors import ModelError
from scenecheck.feeds import Feed
from scenecheck.records import Result
from scenecheck.redact import Address
from scenecheck.types import Label

MODEL = ModelIdentity("tiny", "1", "a" * 64, 1, "cpu", "fp32")


def feeds(n: int, *, host: Callable[[int], str] = "10.0.0.{}".format, deadline_s: float = 15.0) -> list[Feed]:
    return [Feed(f"f{i}", Address("rtsp", host(i), 554), deadline_s=deadline_s) for i in range(n)]


def done(feed: Feed) -> Done:
    result = Result(feed.id, Label.STREET, Label.STREET, "seen", 0.01, datetime.now(UTC), 1.0)
    return Done(Outcome(result, None))


@dataclass
class Script:
    """An engine whose workers answer as ``act`` says: it gets a task, returns messages with their delays (s)."""

    act: Callable[[Task, int], list[tuple[float, Message]]]
    now_s: float = 0.0
    beats: bool = True
    ready: Callable[[int], Message] = lambda _: Ready(MODEL)
    queue: list[tuple[float, int, Message]] = field(default_factory=list)
    given: list[tuple[float, int, str]] = field(default_factory=list)
    held: dict[int, int] = field(default_factory=dict)
    most_held: int = 0
    killed: list[int] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)

    def start(self, worker: int) -> None:
        self.held[worker] = 0
        self.queue.append((self.now_s + 0.1, worker, self.ready(worker)))

    def send(self, worker: int, task: Task) -> None:
        assert worker not in self.gone
        self.given.append((self.now_s, worker, task.feed.id))
        self.held[worker] += 1
        self.most_held = max(self.most_held, sum(self.held.values()))
        self.queue += [(self.now_s + after, worker, m) for after, m in self.act(task, worker)]

    def messages(self, timeout_s: float) -> Iterator[tuple[int, Message]]:
        self.queue.sort(key=lambda item: item[0])
        due = [item for item in self.queue if item[0] <= self.now_s + timeout_s]
        self.now_s = due[0][0] if due else self.now_s + timeout_s
        if self.beats:
            yield from ((w, Beat()) for w in self.held if w not in self.gone)
        for item in [i for i in due if i[0] <= self.now_s]:
            self.queue.remove(item)
            _, worker, message = item
            if worker in self.gone:
                continue
            if isinstance(message, Lost):
                self.gone.add(worker)
                self.held[worker] = 0
            elif isinstance(message, Done):
                self.held[worker] -= 1
            yield worker, message

    def kill(self, worker: int) -> None:
        self.killed.append(worker)
        self.gone.add(worker)
        self.held[worker] = 0

    def close(self) -> None:
        pass


def judge(
    script: Script, todo: list[Feed], *, workers: int = 2, jobs: int = 64, per_host: int = 0
) -> list[Result]:
    supervisor = Supervisor(script, workers=workers, jobs=jobs, per_host=per_host, clock=lambda: script.now_s)
    for _ in supervisor.start():
        assert script.now_s < 1000
    found = []
    for outcomes in supervisor.judge(todo, lambda _: None):
        found += [outcome.result for outcome in outcomes]
        assert script.now_s < 100_000, "it stands still"
    assert not supervisor.in_flight
    return found


def names(results: list[Result]) -> list[str]:
    return sorted(r.feed for r in results)


def test_every_feed_comes_out_once_and_limits_hold() -> None:
    script = Script(lambda task, _: [(1.0, Sign(task.feed.id)), (1.2, done(task.feed))])
    todo = feeds(300)
    assert names(judge(script, todo, jobs=10)) == names([r.outcome.result for r in map(done, todo)])
    assert script.most_held == 10
    assert {worker for _, worker, _ in script.given} == {1, 2}


def test_per_host_holds_across_workers() -> None:
    script = Script(lambda task, _: [(1.0, done(task.feed))])
    judge(script, feeds(20, host=lambda _: "10.0.0.1"), per_host=3)
    assert script.most_held == 3
    assert {worker for _, worker, _ in script.given} == {1, 2}


def test_silent_feeds_do_not_hold_up_those_that_answer() -> None:
    """A fifth of the feeds never says a word: the others are done as early as without them."""

    def act(task: Task, _: int) -> list[tuple[float, Message]]:
        is_silent = int(task.feed.id[1:]) % 5 == 4 and with_silent
        healthy = [(t, Sign(task.feed.id)) for t in (0.1, 1.1)]
        return [(15.0, done(task.feed))] if is_silent else [*healthy, (1.2, done(task.feed))]

    ends = {}
    for with_silent in (False, True):
        script, todo = Script(act), feeds(1000)
        if not with_silent:
            todo = [f for f in todo if int(f.id[1:]) % 5 != 4]
        finished: dict[str, float] = {}
        supervisor = Supervisor(script, workers=2, jobs=256, per_host=4, clock=lambda s=script: s.now_s)
        for _ in supervisor.start():
            pass
        for outcomes in supervisor.judge(todo, lambda _: None):
            finished.update({o.result.feed: script.now_s for o in outcomes})
        assert len(finished) == len(todo)
        ends[with_silent] = max(t for f, t in finished.items() if int(f[1:]) % 5 != 4)
    assert ends[True] <= 1.1 * ends[False]
    assert script.now_s <= ends[True] + 15.0 + 1.0


def test_feeds_that_bring_frames_are_limited_so_that_they_do_not_wait_for_each_other() -> None:
    def act(task: Task, _: int) -> list[tuple[float, Message]]:
        return [*((t / 2 - 0.2, Sign(task.feed.id)) for t in range(1, 10)), (5.0, done(task.feed))]

    script = Script(act)
    judge(script, feeds(200), workers=1, jobs=500)
    assert script.most_held == AWAKE_PER_WORKER


def test_a_worker_that_lags_gets_nothing_new_until_it_has_caught_up() -> None:
    def act(task: Task, _: int) -> list[tuple[float, Message]]:
        lag_s = 2 * LAG_S if len(script.given) < 100 else 0.0
        return [(0.1, Sign(task.feed.id, lag_s)), (1.0, done(task.feed))]

    script = Script(act)
    judge(script, feeds(200), workers=1)
    waves = [sum(at <= end for at, _, _ in script.given) for end in (0.9, 1.9)]
    assert waves[0] == AWAKE_PER_WORKER
    assert waves[1] <= 2 * AWAKE_PER_WORKER + 1


def test_a_worker_that_dies_is_replaced_and_its_feeds_are_judged_again() -> None:
    def act(task: Task, worker: int) -> list[tuple[float, Message]]:
        return [(0.5, Lost("ended by signal 9"))] if worker == 1 else [(1.0, done(task.feed))]

    script, todo = Script(act), feeds(50)
    results = judge(script, todo)
    assert names(results) == sorted(f.id for f in todo)
    assert all(r.error is None for r in results)


def test_a_feed_that_kills_its_worker_each_time_takes_nobody_along() -> None:
    def act(task: Task, worker: int) -> list[tuple[float, Message]]:
        if task.feed.id == "f7":
            return [(0.5, Lost("ended by signal 11"))]
        return [(1.0, done(task.feed))]

    script, todo = Script(act), feeds(80)
    results = judge(script, todo)
    assert names(results) == sorted(f.id for f in todo)
    assert {r.feed: r.error.code for r in results if r.error} == {"f7": "judging-failed"}
    assert [f for _, _, f in script.given].count("f7") == len(COMPANY)


@pytest.mark.parametrize("beats", [True, False])
def test_a_worker_that_stands_still_is_killed_and_replaced(beats: bool) -> None:
    """With beats one feed hangs in its judging; without, the whole interpreter does."""

    def act(task: Task, worker: int) -> list[tuple[float, Message]]:
        return [] if worker == 1 else [(1.0, done(task.feed)), *((float(t), Beat()) for t in range(1, 60))]

    script, todo = Script(act, beats=beats), feeds(4, deadline_s=15.0 if beats else 60.0)
    results = judge(script, todo, workers=1)
    assert names(results) == sorted(f.id for f in todo)
    assert script.killed == [1]
    limit_s = 15.0 + OVERDUE_S if beats else SILENT_S
    assert limit_s <= script.now_s <= limit_s + 20


def test_a_feed_that_hangs_in_a_busy_worker_is_waited_for_longer() -> None:
    def act(task: Task, worker: int) -> list[tuple[float, Message]]:
        return [] if task.feed.id == "f0" else [(1.0, done(task.feed))]

    script, todo = Script(act), feeds(400)
    results = judge(script, todo, workers=1, jobs=5)
    assert names(results) == sorted(f.id for f in todo)
    assert {r.feed for r in results if r.error} == {"f0"}
    first_end_s = 15.0 + LATE_S
    given = [(at, worker) for at, worker, feed in script.given if feed == "f0"]
    assert len(given) == len(COMPANY)
    assert given[1][0] > first_end_s


def test_workers_that_never_get_ready_end_the_audit() -> None:
    script = Script(lambda *_: [], ready=lambda _: Lost("ended (1)"))
    with pytest.raises(ModelError, match="again and again") as caught:
        judge(script, feeds(1))
    assert caught.value.code == "worker-broken"


def test_a_worker_that_does_not_load_its_model_in_time_is_replaced() -> None:
    script = Script(lambda task, _: [(1.0, done(task.feed))], beats=False)
    script.ready = lambda worker: Ready(MODEL) if worker > 2 else Sign("nobody")
    assert len(judge(script, feeds(3), workers=2)) == 3
    assert script.killed == [1, 2]
    assert script.now_s >= START_S


def test_a_broken_model_ends_the_audit() -> None:
    error = ModelError("model-hash", "not what it was")
    script = Script(lambda *_: [], ready=lambda _: Broken(error))
    with pytest.raises(ModelError, match="not what it was"):
        judge(script, feeds(1))


def test_a_replacement_with_another_model_ends_the_audit() -> None:
    other = ModelIdentity("tiny", "2", "b" * 64, 1, "cpu", "fp32")
    script = Script(lambda *_: [(0.5, Lost("ended by signal 9"))])
    script.ready = lambda worker: Ready(MODEL if worker == 1 else other)
    with pytest.raises(ModelError, match="changed while the audit ran"):
        judge(script, feeds(3), workers=1)


@settings(max_examples=60, deadline=None)
@given(
    fates=st.lists(st.sampled_from(["well", "silent", "hangs", "kills", "kills-once"]), max_size=25),
    jobs=st.integers(1, 40),
    workers=st.integers(1, 3),
    per_host=st.integers(0, 2),
)
def test_whatever_feeds_do_each_comes_out_once(
    fates: list[str], jobs: int, workers: int, per_host: int
) -> None:
    tried: list[str] = []

    def act(task: Task, _: int) -> list[tuple[float, Message]]:
        name, fate = task.feed.id, fates[int(task.feed.id[1:])]
        tried.append(name)
        if fate == "kills" or (fate == "kills-once" and tried.count(name) == 1):
            return [(0.3, Lost("ended by signal 11"))]
        if fate == "hangs":
            return []
        return [(15.0 if fate == "silent" else 1.0, done(task.feed))]

    todo = feeds(len(fates), host=lambda i: f"10.0.0.{i % 4}")
    results = judge(Script(act), todo, jobs=jobs, workers=workers, per_host=per_host)
    assert names(results) == sorted(f.id for f in todo)
    failed = {r.feed for r in results if r.error is not None}
    assert failed == {f"f{i}" for i, fate in enumerate(fates) if fate in {"kills", "hangs"}}


def test_a_file_has_no_host() -> None:
    script = Script(lambda task, _: [(1.0, done(task.feed))])
    judge(script, [Feed(f"f{i}", Path("x.jpg")) for i in range(10)], per_host=1)
    assert script.most_held == 10
