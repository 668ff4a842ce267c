"""Whole audits over real loopback cameras, a real store and real worker processes."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import string
import threading
import time
from pathlib import Path
from typing import Any, Self

import jsonschema
import pytest

from scenecheck.audit import engine as engines
from scenecheck.audit import supervisor
from scenecheck.audit.engine import LocalEngine
from scenecheck.audit.run import Alarm
from scenecheck.errors import StoreError
from scenecheck.schemas import SCHEMA_FOLDER
from scenecheck.store import RunWriter, open_store
from tests.audits import (
    ROOT,
    audit_here,
    descendants,
    is_alive,
    n_stored,
    pictures,
    row_of,
    rows,
    run,
    serve_poisoned,
    start,
    wait_for,
    write_inventory,
)
from tests.models import make_tiny_model
from tests.servers.rtsp import RtspServer

CANARY = "c4nary/pa:ss%w@rd"
SAMPLES = ROOT / "samples"
ALL_SIGNS = string.punctuation + "aZ0"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a model that loads at once; what it says is the same every time."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny")).card_path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class CommandLines:
    """Looks through every process's command line, for as long as the block lasts."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue


# --- what it says ----------------------------------------------------------------------------------


def test_audit_gives_every_feed_its_line_and_no_secret_away(tmp_path: Path) -> None:
    clips = {name: SAMPLES / f"{name}-1.mp4" for name in ("junction", "living-room")}
    with RtspServer(clips, users={"viewer": CANARY, "signs": ALL_SIGNS}) as server:
        rtsp = f"rtsp://127.0.0.1:{server.port}"
        login = "user: viewer, password: {env: AUDIT_TEST_PASSWORD}"
        inventory = write_inventory(
            tmp_path,
            [
                f"{{id: street, url: '{rtsp}/junction?auth=digest', {login}}}",
                f"{{id: signs, url: '{rtsp}/junction?auth=digest', user: signs, password: {{file: signs.txt}}}}",
                f"{{id: rehung, name: '<script>alert(1)</script>', url: '{rtsp}/living-room'}}",
                f"{{id: lobby, url: '{SAMPLES / 'corridor-1.mp4'}', expect: indoor}}",
                f"{{id: locked, url: '{rtsp}/junction?fault=401', {login}}}",
                f"{{id: hung, url: '{rtsp}/junction?fault=silent-describe', deadline: 3s}}",
                f"{{id: dead, url: 'rtsp://127.0.0.1:{closed_port()}/x'}}",
                "{id: nowhere, url: 'rtsp://no-such-camera.invalid/x'}",
                "{id: unset, url: 'rtsp://127.0.0.1/x', user: u, password: {env: AUDIT_TEST_NOT_SET}}",
                "{id: gone, url: gone.mp4}",
            ],
            "{deadline: 30s}",
        )
        (tmp_path / "signs.txt").write_text(ALL_SIGNS)
        with CommandLines() as lines:
            done = run(
                *("audit", inventory, "--db", tmp_path / "city.db", "--threads", "1", "--json"),
                AUDIT_TEST_PASSWORD=CANARY,
            )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    jsonschema.validate(report, json.loads((SCHEMA_FOLDER / "audit-1.json").read_text()))
    found = {feed: (label, error) for feed, label, _, _, error in rows(tmp_path / "city.db")}
    assert found == {
        "street": ("street", None),
        "signs": ("street", None),
        "rehung": ("indoor", None),
        "lobby": ("indoor", None),
        "locked": ("unknown", "auth-failed"),
        "hung": ("unknown", found["hung"][1]),
        "dead": ("unknown", "connect-refused"),
        "nowhere": ("unknown", "host-unknown"),
        "unset": ("unknown", "no-secret"),
        "gone": ("unknown", "no-such-path"),
    }
    assert found["hung"][1] in {"open-timeout", "deadline"}
    assert report["feeds"] == 10
    assert report["verdicts"] == {"street": 2, "indoor": 2, "unknown": 0, "unreachable": 6}
    kinds = {f["feed"]: f["kind"] for f in report["findings"]}
    assert kinds == {"rehung": "newly-indoor"} | dict.fromkeys(
        ("locked", "hung", "dead", "nowhere", "unset", "gone"), "newly-unreachable"
    )
    assert report["findings"][0]["feed"] == "rehung"
    assert any("spawn_main" in line for line in lines.seen), "no worker's command line was seen"
    kept = [path.read_bytes() for path in tmp_path.iterdir() if path.name != "signs.txt"]
    for text in (done.stdout, done.stderr, *lines.seen, *(data.decode("latin-1") for data in kept)):
        assert CANARY not in text
        assert ALL_SIGNS not in text
    assert "rehung: newly-indoor" in done.stderr


def test_audit_says_what_changed_and_accept_records_a_repair(tmp_path: Path) -> None:
    camera = tmp_path / "camera.mp4"
    inventory = write_inventory(tmp_path, [f"{{id: camera, url: {camera}}}"])
    arguments = ("--db", tmp_path / "city.db", "--threads", "1")
    shutil.copy(SAMPLES / "junction-1.mp4", camera)
    first = run("audit", inventory, *arguments)
    assert (first.returncode, first.stdout.count("\n")) == (0, 1), first.stdout + first.stderr
    shutil.copy(SAMPLES / "living-room-1.mp4", camera)
    second = run("audit", inventory, *arguments, "--fail-on", "moved")
    assert second.returncode == 1, second.stdout + second.stderr
    kinds = [line.split("\t")[0] for line in second.stdout.splitlines()[1:]]
    assert kinds == ["newly-indoor", "moved"]
    refused = run("accept", "camera", "--feeds", inventory, *arguments, "--why", "repaired", "--who", "budi")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not accepted: it shows an interior" in refused.stderr
    shutil.copy(SAMPLES / "junction-1.mp4", camera)
    accepted = run("accept", "camera", "--feeds", inventory, *arguments, "--why", "repaired", "--who", "budi")
    assert (accepted.returncode, accepted.stdout) == (
        0,
        "camera: accepted by budi: repaired (seen: street)\n",
    )
    third = run("audit", inventory, *arguments, "--fail-on", "indoor,moved")
    assert third.returncode == 0, third.stdout + third.stderr
    assert third.stdout.splitlines()[1].startswith("recovered\tcamera\t")
    with open_store(str(tmp_path / "city.db")) as store:
        reference = store.reference("camera")
        assert reference is not None
        assert (reference.who, reference.why, reference.is_trusted) == ("budi", "repaired", True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fail-on", "indor"], "--fail-on: got 'indor'; allowed: indoor,"),
        (["--fail-on", ","], "--fail-on: got ','; allowed: indoor,"),
        (["--ray-address", "x"], "goes with --engine ray"),
        (["--resume"], "no-such-run"),
        (["--db", "/proc/city.db"], "store-unusable"),
        (["--model", "no-such.json"], "no-such.json"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    inventory = write_inventory(tmp_path, pictures(1))
    done = run("audit", inventory, "--threads", "1", "--db", tmp_path / "a.db", *arguments)
    assert done.returncode == (4 if "--model" in arguments else 2)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert said in done.stderr


def test_a_typed_database_password_is_warned_of_and_not_repeated(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, pictures(1))
    address = f"postgresql+psycopg://u:secret-{os.getpid()}@127.0.0.1:{closed_port()}/x"
    typed = run("audit", inventory, "--db", address)
    quiet = run("audit", inventory, SCENECHECK_DB=address)
    assert (typed.returncode, quiet.returncode) == (2, 2)
    assert "shows in the process list" in typed.stderr
    assert "shows in the process list" not in quiet.stderr
    assert "secret-" not in typed.stderr + quiet.stderr


# --- nothing lost, nothing doubled -----------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, list[Any]]:
    """An inventory of pictures and what an audit that nobody disturbs finds."""
    folder = tmp_path_factory.mktemp("undisturbed")
    inventory = write_inventory(folder, pictures(N_PICTURES))
    audited = audit_here(inventory, folder / "city.db", tiny)
    assert audited.is_finished
    found = rows(folder / "city.db")
    assert len(found) == N_PICTURES
    return inventory, found


N_PICTURES = 120


def test_the_whole_audit_killed_then_resumed_gives_the_same_table(
    tmp_path: Path, tiny: Path, undisturbed: tuple[Path, list[Any]]
) -> None:
    _kill_and_resume(tmp_path, tiny, undisturbed, moments=[5, 90])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_audit_killed_at_a_hundred_moments_gives_the_same_table(
    tmp_path: Path, tiny: Path, undisturbed: tuple[Path, list[Any]]
) -> None:
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        moments = sorted(random.Random(attempt).sample(range(1, N_PICTURES), 10))
        _kill_and_resume(folder, tiny, undisturbed, moments=moments)


def _kill_and_resume(
    folder: Path, tiny: Path, undisturbed: tuple[Path, list[Any]], *, moments: list[int]
) -> None:
    """Kill -9 the audit each time so many results are stored; then let it finish."""
    inventory, right = undisturbed
    db = folder / "city.db"
    arguments = ("audit", inventory, "--db", db, "--model", tiny, "--threads", "1", "--jobs", "4")
    for i, moment in enumerate(moments):
        process = start(*arguments, *(["--resume"] if i else []))
        wait_for(lambda m=moment, p=process: n_stored(db) >= m or p.poll() is not None, "results")
        workers = list(descendants(process.pid))
        process.kill()
        said = process.communicate()
        assert "Traceback" not in said[1]
        wait_for(lambda w=workers: not any(map(is_alive, w)), "the workers' end")
    if n_stored(db) < len(right):
        done = run(*arguments, "--resume")
        assert done.returncode in {0, 1, 3}, done.stderr
    assert rows(db) == right
    assert n_stored(db) == len(right)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_killed_or_stopped_underway_changes_nothing(
    tmp_path: Path,
    tiny: Path,
    undisturbed: tuple[Path, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setattr(supervisor, "SILENT_S", 5.0)
    inventory, right = undisturbed
    hit: list[int] = []

    def disturb(n: int, engine: LocalEngine) -> None:
        if n >= 20 and not hit:
            hit.extend(engine.pids().values())
            for pid in hit:
                os.kill(pid, number)

    assert audit_here(inventory, tmp_path / "city.db", tiny, on_stored=disturb).is_finished
    assert len(hit) == 1
    assert not is_alive(hit[0])
    assert rows(tmp_path / "city.db") == right


def test_a_feed_that_crashes_the_decoder_takes_nobody_along(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "serve", serve_poisoned)
    inventory = write_inventory(tmp_path, [*pictures(20), "{id: poison, url: feeds.yaml}"])
    assert audit_here(inventory, tmp_path / "city.db", tiny).is_finished
    errors = {feed: error for feed, _, _, _, error in rows(tmp_path / "city.db")}
    assert len(errors) == 21
    assert {feed: e for feed, e in errors.items() if e} == {"poison": "judging-failed"}


def test_a_store_that_fails_underway_keeps_what_it_has_and_the_run_goes_on_later(
    tmp_path: Path, tiny: Path, undisturbed: tuple[Path, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory, right = undisturbed
    db = tmp_path / "city.db"
    record = RunWriter.record
    calls = []

    def fill_up(self: RunWriter, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise StoreError("store-full", "the disk is full")
        return record(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(RunWriter, "record", fill_up)
        with pytest.raises(StoreError, match="full"):
            audit_here(inventory, db, tiny, jobs=4)
    n_before = n_stored(db)
    assert 0 < n_before < len(right)
    assert audit_here(inventory, db, tiny, resume=True).run == 1
    assert rows(db) == right


def test_results_are_the_same_on_each_kind_of_database(
    db_url: str, tiny: Path, undisturbed: tuple[Path, list[Any]]
) -> None:
    inventory, right = undisturbed
    audited = audit_here(inventory, db_url, tiny)
    assert audited.run is not None
    with open_store(db_url) as store:
        assert [row_of(result) for result in store.table(audited.run)] == right


# --- stopping, standing still ----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_audit_ends_soon_says_how_to_go_on_and_holds_its_run_till_then(
    tmp_path: Path, tiny: Path, silent_server: RtspServer, number: signal.Signals
) -> None:
    db = tmp_path / "city.db"
    silent = f"{{id: silent, url: 'rtsp://127.0.0.1:{silent_server.port}/x', deadline: 300s}}"
    inventory = write_inventory(tmp_path, [silent, *pictures(3)])
    arguments = ("audit", inventory, "--db", db, "--model", tiny, "--threads", "1")
    process = start(*arguments)
    try:
        wait_for(lambda: n_stored(db) == 3, "three results")
        if number == signal.SIGINT:
            second = run(*arguments, "--resume")
            assert (second.returncode, "run-busy" in second.stderr) == (2, True), second.stderr
        workers = list(descendants(process.pid))
        assert workers
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"go on with: scenecheck audit {inventory} --resume --db {db}" in said
    assert "3 of 4 feeds judged and stored" in said
    assert "Traceback" not in said
    wait_for(lambda: not any(map(is_alive, workers)), "the workers' end")
    with open_store(str(db)) as store:
        assert (store.run().owner, store.run().is_finished) == (None, False)


def test_alarm_says_that_nothing_moves_and_how_long() -> None:
    said: list[str] = []
    is_said = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 2:
            is_said.set()

    with Alarm(0.05, say) as alarm:
        alarm.saw(0, ["a", "b", "c", "d", "e", "f"])
        assert is_said.wait(10)
    assert re.fullmatch(r"no progress for \d+ s; 6 feeds in flight \(a, b, c, d, e, …\)", said[1])


def test_alarm_is_silent_while_results_come() -> None:
    said: list[str] = []
    with Alarm(0.2, said.append) as alarm:
        ends_s = time.monotonic() + 1.0
        while time.monotonic() < ends_s:
            alarm.saw(1, [])
            time.sleep(0.005)
    assert said == []


# --- limits ----------------------------------------------------------------------------------------


def test_no_host_gets_more_connections_than_allowed(tmp_path: Path, tiny: Path) -> None:
    with RtspServer({"street": SAMPLES / "junction-1.mp4"}) as server:
        feeds = [f"{{id: f{i}, url: 'rtsp://127.0.0.1:{server.port}/street'}}" for i in range(9)]
        inventory = write_inventory(tmp_path, feeds, "{deadline: 60s}")
        done = run(
            *("audit", inventory, "--db", tmp_path / "a.db", "--model", tiny, "--threads", "2"),
            *("--per-host", "2", "--json"),
        )
        assert json.loads(done.stdout)["feeds"] == 9, done.stderr
        server.wait_for(lambda: all(c.closed_s for c in server.connections))
        spans = [(c.requests[0].at_s, c.closed_s) for c in server.connections if c.requests]
    assert len(spans) >= 9
    # A reader that is told to stop closes its connection at its next packet, a moment after its feed is done.
    most = max(sum(a <= at < b - 0.3 for a, b in spans if b is not None) for at, _ in spans)
    assert most == 2
