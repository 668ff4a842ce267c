"""The store, by one suite on SQLite and PostgreSQL: nothing lost, nothing doubled, one auditor per run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenecheck.errors import StoreError, UsageError
from scenecheck.records import ErrorNote, Finding, FindingKind, Memory, Mosaic, Reference, Result, RunSpec
from scenecheck.store import LEASE_S, Store, open_store
from scenecheck.store.engine import WAIT_S, connect
from scenecheck.store.owner import describe, is_gone, owner_name
from scenecheck.types import Condition, Label
from scenecheck.view import COARSE_GRID, GRID, Comparison, View
from tests.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = RunSpec("a" * 64, "scenecheck", "1.0", "b" * 64, 3, {"frames": 5, "deadline_s": 15.0})
MOSAIC = Mosaic(bytes(range(144)) * 3, bytes(range(144)))
FULL = Result(
    feed="smg-01",
    expect=Label.STREET,
    label=Label.INDOOR,
    label_alone=Label.INDOOR,
    reason="5 frames, the least indoor one 99.1%",
    p_indoor=0.9932,
    finished_at=NOON,
    total_s=2.5,
    n_frames=5,
    conditions={Condition.DARK: 1, Condition.OUT_OF_SCOPE: 2},
    error=ErrorNote("stream-stalled", "smg-01: frames stopped coming", "check the uplink"),
    comparison=Comparison(False, 0.01, 0.25, -0.125, 3.0, 1.25, "structure"),
    open_s=0.1,
    first_frame_s=0.4,
    mosaic=MOSAIC,
    name="Simpang <b>Kuningan</b> '; DROP TABLE runs; --",
    address="rtsp://10.1.2.3:554/stream1",
    tags=("semarang-utara", "junction"),
    findings=(Finding(FindingKind.NEWLY_INDOOR, NOON, "shows an interior"),),
)


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(db_url: str, clock: Clock) -> Iterator[Store]:
    with open_store(db_url, clock=clock) as opened:
        yield opened


def result(feed: str, label: Label = Label.STREET, **fields: object) -> Result:
    base = Result(feed, Label.STREET, label, "3 frames", 0.01, NOON, 1.0)
    return replace(base, **fields)  # type: ignore[arg-type]


def view(seed: int = 0, *, is_coarse: bool = False) -> View:
    rng = np.random.default_rng(seed)
    made = View(
        rng.integers(-127, 128, 1280, dtype=np.int8), rng.integers(-127, 128, (2, *GRID), dtype=np.int8)
    )
    return made.coarse() if is_coarse else made


def refused(code: str, call: Callable[[], object]) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call()
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    return caught.value


# --- what is recorded ----------------------------------------------------------------------------


def test_record_when_read_back_then_every_field_is_the_same(store: Store) -> None:
    bare = result("smg-02", Label.UNKNOWN, p_indoor=None)
    with store.begin(SPEC) as run:
        assert run.record([bare, FULL]) == {"smg-01", "smg-02"}
        run.finish()
    assert store.table(run.run) == [replace(FULL, run=run.run), replace(bare, run=run.run)]
    assert store.table(run.run)[0].mosaic == MOSAIC
    found = store.run()
    assert (found.spec, found.started_at, found.finished_at, found.n_results) == (SPEC, NOON, NOON, 2)
    assert (found.owner, found.lease_until) == (None, None)
    assert store.run(run.run) == found


any_text = st.text(st.characters(exclude_categories=()), max_size=40)
any_time = st.datetimes(
    timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)
)
any_number = st.none() | st.floats(-1e6, 1e6)
any_comparison = st.builds(
    Comparison,
    st.booleans(),
    st.floats(0, 1),
    *[any_number] * 4,
    st.sampled_from(["structure", "structure+embedding", "coarse", "none"]),
)
any_finding = st.builds(Finding, st.sampled_from(FindingKind), any_time, any_text)
any_result = st.builds(
    Result,
    feed=st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True),
    expect=st.sampled_from([Label.STREET, Label.INDOOR]),
    label=st.sampled_from(Label),
    label_alone=st.sampled_from(Label),
    reason=any_text,
    p_indoor=st.none() | st.floats(0, 1),
    finished_at=any_time,
    total_s=st.floats(0, 1e6),
    n_frames=st.integers(0, 100),
    conditions=st.dictionaries(st.sampled_from(Condition), st.integers(1, 100)),
    error=st.none() | st.builds(ErrorNote, any_text, any_text, any_text),
    comparison=st.none() | any_comparison,
    open_s=any_number,
    first_frame_s=any_number,
    mosaic=st.none()
    | st.builds(Mosaic, st.binary(min_size=432, max_size=432), st.binary(min_size=144, max_size=144)),
    name=any_text,
    address=any_text,
    tags=st.lists(any_text, max_size=3).map(tuple),
    findings=st.lists(any_finding, max_size=3, unique_by=lambda f: f.kind).map(tuple),
)


def storable(text: str) -> str:
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def as_kept(given_: Result, run: int) -> Result:
    error = given_.error
    return replace(
        given_,
        run=run,
        reason=storable(given_.reason),
        name=storable(given_.name),
        address=storable(given_.address),
        tags=tuple(map(storable, given_.tags)),
        error=error and ErrorNote(storable(error.code), storable(error.message), storable(error.try_)),
        findings=tuple(
            replace(f, detail=storable(f.detail)) for f in sorted(given_.findings, key=lambda f: f.kind)
        ),
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(found=st.lists(any_result, max_size=4, unique_by=lambda r: r.feed))
def test_record_when_texts_are_hostile_then_all_else_is_kept_to_the_bit(
    store: Store, found: list[Result]
) -> None:
    with store.begin(SPEC) as run:
        run.record(found)
        run.finish()
    assert store.table(run.run) == [as_kept(r, run.run) for r in sorted(found, key=lambda r: r.feed)]


def test_record_when_a_feed_has_its_result_then_the_first_stands(store: Store) -> None:
    with store.begin(SPEC) as run:
        first = result("a")
        assert run.record([first, result("a", Label.INDOOR)]) == {"a"}
        assert run.record([result("a", Label.INDOOR, findings=FULL.findings), result("b")]) == {"b"}
        assert run.record([]) == frozenset()
    assert store.table(run.run) == [replace(first, run=run.run), result("b", run=run.run)]


def test_record_when_one_row_is_refused_then_nothing_of_the_call_is_kept(store: Store) -> None:
    twice = (Finding(FindingKind.MOVED, NOON, "s3nsitive"),) * 2
    with store.begin(SPEC) as run:
        run.record([result("a")])
        with pytest.raises(StoreError) as caught:
            run.record([result("b"), result("c", findings=twice)])
        assert caught.value.code == "store-failed"
        assert "INSERT" not in str(caught.value)
        assert "s3nsitive" not in str(caught.value)
        assert run.pending(["c", "b", "a"]) == ["c", "b"]


def test_store_when_given_a_picture_then_the_database_itself_refuses(db_url: str, store: Store) -> None:
    with store.begin(SPEC) as run:
        run.record([FULL])
    database = connect(db_url)
    for change in (
        "UPDATE results SET cells = :big",
        "INSERT INTO feed_references (feed, label, view, created_at) VALUES ('x', 'indoor', :big, '2026-01-01')",
    ):
        with pytest.raises(StoreError, match="ck_"), database.write() as connection:
            connection.execute(sa.text(change), {"big": bytes(433)})
    database.engine.dispose()


# --- runs ----------------------------------------------------------------------------------------


def test_resume_when_a_run_was_let_go_then_the_rest_is_pending_in_order(store: Store) -> None:
    feeds = ["d", "b", "c", "a"]
    with store.begin(SPEC) as run:
        assert run.pending(feeds) == feeds
        run.record([result("b"), result("a")])
    assert not store.run(run.run).is_finished
    with store.resume(SPEC) as again:
        assert again.run == run.run
        assert again.pending(feeds) == ["d", "c"]
        again.record([result("c"), result("d")])
        again.finish()
    assert store.run(run.run).is_finished
    assert [r.feed for r in store.table(run.run)] == ["a", "b", "c", "d"]
    refused("run-finished", lambda: store.resume(SPEC, run=run.run))
    refused("no-such-run", lambda: store.resume(SPEC))


def test_resume_when_the_run_began_with_something_else_then_says_with_what(store: Store) -> None:
    store.begin(SPEC).__exit__(None, None, None)
    other = replace(SPEC, model_sha256="c" * 64, options={"frames": 6})
    error = refused("run-differs", lambda: store.resume(other))
    assert "model_sha256, options" in str(error)
    assert "inventory" not in str(error)


def test_run_when_there_is_none_then_says_so(store: Store) -> None:
    for call in (store.run, lambda: store.run(7), lambda: store.table(7), lambda: store.resume(SPEC, run=7)):
        refused("no-such-run", call)
    refused("no-such-feed", lambda: store.history("x"))
    assert store.runs() == []


def test_runs_when_there_are_several_then_latest_first_and_numbers_are_never_used_again(store: Store) -> None:
    numbers = [store.begin(SPEC).run for _ in range(3)]
    assert [r.id for r in store.runs()] == numbers[::-1]
    assert store.run().id == numbers[-1] == numbers[0] + 2


def test_resume_when_another_auditor_is_at_work_then_refused_until_it_is_silent_for_the_lease(
    db_url: str, clock: Clock
) -> None:
    with open_store(db_url, clock=clock) as ours, open_store(db_url, clock=clock) as theirs:
        run = ours.begin(SPEC)
        run.record([result("a")])
        error = refused("run-busy", lambda: theirs.resume(SPEC))
        assert f"process {os.getpid()}" in str(error)
        clock.forward(LEASE_S - 1)
        run.beat()
        clock.forward(LEASE_S - 1)
        refused("run-busy", lambda: theirs.resume(SPEC))
        clock.forward(2)
        taken = theirs.resume(SPEC)
        for call in (lambda: run.record([result("b")]), run.beat, run.finish):
            with pytest.raises(StoreError) as caught:
                call()
            assert caught.value.code == "run-taken"
        run.__exit__(None, None, None)
        refused("run-busy", lambda: ours.resume(SPEC))
        assert taken.pending(["a", "b"]) == ["b"]
        taken.finish()
        assert ours.run().is_finished


def test_record_when_the_lease_ran_out_but_nobody_took_the_run_then_it_goes_on(
    store: Store, clock: Clock
) -> None:
    with store.begin(SPEC) as run:
        clock.forward(10 * LEASE_S)
        run.record([result("a")])
        refused("run-busy", lambda: store.resume(SPEC))


def test_record_when_the_run_was_let_go_then_refused(store: Store) -> None:
    with store.begin(SPEC) as run:
        pass
    with pytest.raises(StoreError, match="no longer held"):
        run.record([result("a")])
    assert store.table(run.run) == []


def test_resume_when_many_try_at_once_then_one_gets_it(db_url: str, store: Store) -> None:
    store.begin(SPEC).__exit__(None, None, None)
    gate, got, lost = threading.Barrier(6), [], []

    def auditor() -> None:
        with open_store(db_url, clock=Clock()) as mine:
            gate.wait(20)
            try:
                got.append(mine.resume(SPEC))
            except UsageError as e:
                lost.append(e.code)

    together(auditor, 6)
    assert len(got) == 1
    assert lost == ["run-busy"] * 5


def together(work: Callable[[], None], n: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_open_store_when_many_make_it_at_once_then_it_is_made_once(db_url: str) -> None:
    code = (
        "import sys; from scenecheck.store import open_store\n"
        "sys.stdin.read(); store = open_store(sys.argv[1]); print(len(store.runs()))"
    )
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", code, db_url],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    done = []
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.close()
    for opener in openers:
        opener.stdin = None
        done.append(opener.communicate(timeout=60))
    assert done == [("0\n", "")] * 2


def test_is_gone_when_an_owner_cannot_be_looked_up_then_it_may_still_live() -> None:
    ours = owner_name()
    host, machine, pid, started, nonce = ours.split("/")
    assert describe(ours) == f"process {os.getpid()} on {host}"
    assert ours != owner_name()
    for name in (
        ours,
        f"elsewhere/{machine}/1/x/{nonce}",
        f"{host}/another-boot/{pid}/x/{nonce}",
        f"{host}/{machine}/no-number/{started}/{nonce}",
        "",
    ):
        assert not is_gone(name), name
    if machine:
        # The number is used again by another process.
        assert is_gone(f"{host}/{machine}/{pid}/1/{nonce}")


# --- killed --------------------------------------------------------------------------------------

WRITER = """
import sys
from datetime import UTC, datetime
from scenecheck.records import Finding, FindingKind, Result
from scenecheck.store import open_store
from scenecheck.types import Label
from tests.test_store import SPEC

store, n = open_store(sys.argv[1]), 0
run = store.begin(SPEC)
while True:
    now, batch = datetime.now(UTC), []
    for n in range(n, n + 7):
        lines = (Finding(FindingKind.UNKNOWN, now, "no frame came"),)
        batch.append(Result(f"feed-{n:06}", Label.STREET, Label.UNKNOWN, "x", None, now, 0.1, findings=lines))
    n += 1
    run.record(batch)
    print(*(r.feed for r in batch), flush=True)
"""


def killed_writer(
    db_url: str, *, after_lines: int, strike: Callable[[subprocess.Popen[str]], None]
) -> set[str]:
    """Feeds that a writing process had reported as recorded when it ended; ``strike`` makes it end."""
    command = [sys.executable, "-c", WRITER, db_url]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as writer:  # type: ignore[call-overload]
        said: list[str] = []
        for line in writer.stdout:
            said += line.split()
            if line.strip() and len(said) >= 7 * after_lines:
                break
        strike(writer)
        said += writer.stdout.read().split()
        writer.wait(20)
    return {feed for feed in said if len(feed) == len("feed-000000")}


MOMENTS = [1, 13, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 5, 8, 21, 34, 55, 89, 144, 233))]


@pytest.mark.parametrize("after_lines", MOMENTS)
def test_kill_when_a_writer_is_killed_then_all_it_reported_is_there_and_the_run_resumes_at_once(
    db_url: str, after_lines: int
) -> None:
    reported = killed_writer(db_url, after_lines=after_lines, strike=subprocess.Popen.kill)
    assert len(reported) >= 7 * after_lines
    with open_store(db_url) as store:
        kept = store.table(store.run().id)
        assert {r.feed for r in kept} >= reported
        assert len({r.feed for r in kept}) == len(kept)
        # Whole batches only: no result without its findings.
        assert len(kept) % 7 == 0
        assert all(len(r.findings) == 1 for r in kept)
        with store.resume(SPEC) as run:
            rest = [f"feed-{n:06}" for n in range(len(kept) + 50)]
            assert run.pending(rest) == rest[len(kept) :]
            run.record([result(feed) for feed in rest])
            run.finish()
        assert [r.feed for r in store.table(run.run)] == rest


def test_kill_when_the_server_is_killed_then_all_it_reported_is_there(postgres: PostgresServer) -> None:
    url = postgres.fresh()
    reported = killed_writer(url, after_lines=5, strike=lambda _: postgres.kill())
    postgres.start()
    assert len(reported) >= 35
    with open_store(url) as store:
        assert {r.feed for r in store.table(store.run().id)} >= reported


def test_record_when_the_server_came_back_then_goes_on(postgres: PostgresServer) -> None:
    with open_store(postgres.fresh()) as store, store.begin(SPEC) as run:
        run.record([result("a")])
        postgres.kill()
        with pytest.raises(StoreError) as caught:
            run.record([result("b")])
        postgres.start()
        assert (caught.value.code, caught.value.exit_code) == ("store-failed", 3)
        assert postgres.password not in str(caught.value)
        assert run.record([result("a"), result("b")]) == {"b"}


def test_record_when_the_server_stands_still_then_it_is_given_up(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenecheck.store.engine.SILENCE_S", 0.5)
    monkeypatch.setattr("scenecheck.store.engine.CONNECT_S", 2)
    with open_store(postgres.fresh()) as store, store.begin(SPEC) as run:
        run.record([result("a")])
        postgres.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(StoreError):
                run.record([result("b")])
            assert time.monotonic() - began < 20
        finally:
            postgres.signal(signal.SIGCONT)
        assert run.record([result("b")]) == {"b"}


# --- memory and references -----------------------------------------------------------------------


def test_memory_when_asked_then_gives_the_last_result_of_another_run_and_the_reference(store: Store) -> None:
    for label in (Label.STREET, Label.INDOOR):
        with store.begin(SPEC) as run:
            run.record([replace(FULL, label=label), result("b")])
            run.finish()
    kept = store.accept("b", who="Ayu", why="re-aimed", view=view())
    with store.begin(SPEC) as now:
        now.record([result("smg-01", Label.UNKNOWN)])
        memory = now.memory(["c", "smg-01", "b"])
    assert memory["smg-01"].previous == replace(FULL, run=run.run, mosaic=None)
    assert memory["smg-01"].reference is None
    assert memory["c"] == Memory()
    assert memory["b"].previous == result("b", run=run.run)
    assert memory["b"].reference is not None
    assert memory["b"].reference.view.to_bytes() == kept.view.to_bytes()


def test_memory_when_there_are_more_feeds_than_a_statement_takes_then_all_come(store: Store) -> None:
    feeds = [f"f{n:05}" for n in range(1201)]
    with store.begin(SPEC) as run:
        run.record([result(feed) for feed in feeds])
        assert run.pending(feeds) == []
        run.finish()
    with store.begin(SPEC) as run:
        memory = run.memory(feeds)
        assert [feed for feed in feeds if memory[feed].previous] == feeds
    assert [r.feed for trail in store.trails(feeds).values() for r in trail] == feeds


def test_accept_when_a_person_says_so_then_it_counts_and_what_was_before_is_kept(
    store: Store, clock: Clock
) -> None:
    with store.begin(SPEC) as run:
        run.record([result("a")], [Reference("a", Label.STREET, view(1), NOON, created_run=run.run)])
        run.finish()
    proposed = store.reference("a")
    assert proposed is not None
    assert (proposed.is_trusted, proposed.created_run) == (False, run.run)
    clock.forward(60)
    store.accept("a", who=" Ayu ", why="back on the mast", view=view(2))
    accepted = store.reference("a")
    assert accepted is not None
    assert (accepted.who, accepted.why, accepted.is_trusted) == ("Ayu", "back on the mast", True)
    assert accepted.view.to_bytes() == view(2).to_bytes()
    assert accepted.created_at == clock.now
    history = store.history("a")
    assert [r.who for r in history.references] == [None, "Ayu"]
    assert [r.run for r in history.results] == [run.run]
    for who, why in (("", "x"), ("x", " ")):
        refused("bad-option", lambda who=who, why=why: store.accept("a", who=who, why=why, view=view()))  # type: ignore[misc]


def test_accept_when_an_interior_is_accepted_then_no_outline_of_it_is_kept(store: Store) -> None:
    store.accept("lobby", who="Ayu", why="meant to be there", view=view(), label=Label.INDOOR)
    kept = store.reference("lobby")
    assert kept is not None
    assert kept.view.field.shape[1:] == COARSE_GRID
    assert kept.view.embedding.size == 0


def test_record_when_a_run_proves_or_refines_a_reference_then_the_kept_one_changes(
    store: Store, clock: Clock
) -> None:
    with store.begin(SPEC) as run:
        run.record([result("a")], [Reference("a", Label.STREET, view(1), NOON, created_run=run.run)])
        proposed = store.reference("a")
        assert proposed is not None
    with store.begin(SPEC) as later:
        proven = replace(proposed, view=view(2), proven_at=clock.now, proven_run=later.run)
        stray = Reference("b", Label.STREET, view(3), NOON, created_run=later.run)
        later.record([result("a")], [proven, stray])
        # Its result is already there, so this says nothing new.
        later.record([result("a")], [replace(proven, view=view(4))])
    kept = store.reference("a")
    assert kept is not None
    assert (kept.is_trusted, kept.proven_run, kept.created_run) == (True, later.run, run.run)
    assert kept.view.to_bytes() == view(2).to_bytes()
    assert len(store.history("a").references) == 1
    assert store.reference("b") is None


def test_record_when_a_person_accepted_in_between_then_the_runs_view_does_not_step_over_it(
    store: Store, clock: Clock
) -> None:
    with store.begin(SPEC) as run:
        clock.forward(1)
        store.accept("a", who="Ayu", why="new mast", view=view(1))
        clock.forward(1)
        run.record([result("a")], [Reference("a", Label.STREET, view(2), clock.now, created_run=run.run)])
    kept = store.reference("a")
    assert kept is not None
    assert kept.who == "Ayu"
    assert kept.view.to_bytes() == view(1).to_bytes()


def test_trails_when_asked_for_the_last_few_then_oldest_first_without_mosaics(store: Store) -> None:
    runs = []
    for _ in range(4):
        with store.begin(SPEC) as run:
            run.record([FULL, result("b")])
            runs.append(run.run)
    trails = store.trails(["b", "smg-01", "never"], last=3)
    assert [r.run for r in trails["smg-01"]] == runs[1:]
    assert {r.mosaic for r in trails["smg-01"]} == {None}
    assert trails["smg-01"][0].findings == FULL.findings
    assert trails["never"] == ()


def test_table_when_a_writer_is_in_the_middle_of_its_work_then_reading_does_not_wait(
    db_url: str, store: Store
) -> None:
    with store.begin(SPEC) as run:
        run.record([result("a")])
        database = connect(db_url)
        with database.write() as connection:
            connection.execute(sa.text("UPDATE results SET reason = 'half done'"))
            began = time.monotonic()
            assert [r.reason for r in store.table(run.run)] == ["3 frames"]
            assert time.monotonic() - began < WAIT_S / 2
        database.engine.dispose()
        assert [r.reason for r in store.table(run.run)] == ["half done"]
