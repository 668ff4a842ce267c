"""Opening a store: addresses, foreign and newer databases, disks that are full or read-only, secrets."""

from __future__ import annotations

import logging
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from scenecheck.errors import ScenecheckError, StoreError, UsageError
from scenecheck.store import open_store
from scenecheck.store.engine import MIGRATIONS, VERSION_TABLE, connect
from scenecheck.store.tables import metadata
from tests.postgres import PostgresServer
from tests.test_store import SPEC, refused, result

ROOT = Path(__file__).resolve().parent.parent


def test_migrations_when_run_then_make_the_tables_that_the_code_knows(db_url: str) -> None:
    database = connect(db_url)
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        found = sa.inspect(connection)
        for table in metadata.sorted_tables:
            for kind, read in (
                (sa.CheckConstraint, found.get_check_constraints),
                (sa.UniqueConstraint, found.get_unique_constraints),
            ):
                ours = {c.name for c in table.constraints if isinstance(c, kind)}
                assert {c["name"] for c in read(table.name)} == ours, table.name
    database.engine.dispose()


def test_migrations_when_a_store_is_opened_again_then_it_keeps_everything(db_url: str) -> None:
    with open_store(db_url) as store, store.begin(SPEC) as run:
        run.record([result("a")])
    with open_store(db_url) as store:
        assert [r.feed for r in store.table(run.run)] == ["a"]


def test_migrations_when_one_fails_then_the_database_is_as_before(
    db_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = tmp_path / "migrations"
    (steps / "versions").mkdir(parents=True)
    (steps / "env.py").write_text((MIGRATIONS / "env.py").read_text())
    shipped = sorted((MIGRATIONS / "versions").glob("0*.py"))
    for step in shipped:
        (steps / "versions" / step.name).write_text(step.read_text())
    latest = shipped[-1].name.partition("_")[0]
    with open_store(db_url) as store, store.begin(SPEC) as run:
        run.record([result("a")])
    (steps / "versions" / "broken.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = 'broken', '{latest}', None, None\n"
        "def upgrade():\n"
        "    op.create_table('half', sa.Column('id', sa.Integer))\n"
        "    op.execute('DROP TABLE findings')\n"
        "    op.execute('SELECT no_such_thing')\n"
    )
    monkeypatch.setattr("scenecheck.store.engine.MIGRATIONS", steps)
    refused("store-unusable", lambda: open_store(db_url))
    monkeypatch.undo()
    with open_store(db_url) as store:
        assert [r.feed for r in store.table(run.run)] == ["a"]
    database = connect(db_url)
    with database.read() as connection:
        assert "half" not in sa.inspect(connection).get_table_names()
    database.engine.dispose()


def test_open_store_when_the_schema_is_newer_then_refuses_and_touches_nothing(db_url: str) -> None:
    with open_store(db_url) as store, store.begin(SPEC) as run:
        run.record([result("a")])
    database = connect(db_url)
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    error = refused("store-newer", lambda: open_store(db_url))
    assert "schema 0999" in str(error)
    assert "upgrade scenecheck" in error.try_
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT feed FROM results")).scalars().all() == ["a"]
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == "0999"
    database.engine.dispose()


def test_open_store_when_the_database_belongs_to_another_program_then_refuses(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE runs (mine)")
    other.close()
    before = path.read_bytes()
    error = refused("store-foreign", lambda: open_store(str(path)))
    assert "runs" in str(error)
    assert path.read_bytes()[100:] == before[100:]
    url = postgres.fresh()
    with postgres.admin() as connection:
        schema = url.rpartition("%3D")[2]
        connection.execute(f"CREATE TABLE {schema}.results (mine int)".encode())
    refused("store-foreign", lambda: open_store(url))


@pytest.mark.parametrize("name", ["a%20b.db", "a?b=c.db", "ütf 'quote\".db", "sqlite:///{}/plain.db"])
def test_open_store_when_a_path_holds_odd_characters_then_it_is_that_file(tmp_path: Path, name: str) -> None:
    url = name.format(tmp_path) if "://" in name else str(tmp_path / name)
    with open_store(url) as store:
        store.begin(SPEC).finish()
    assert Path(url.removeprefix("sqlite:///")).is_file()
    assert {p.name for p in tmp_path.iterdir()} == {Path(url).name}


def test_open_store_when_the_file_cannot_be_a_store_then_says_so(tmp_path: Path) -> None:
    text = tmp_path / "feeds.yaml"
    text.write_text("version: 1\n" * 200)
    for path in (text, tmp_path, tmp_path / "missing" / "store.db"):
        error = refused("store-unusable", lambda path=path: open_store(str(path)))  # type: ignore[misc]
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
    assert text.read_text() == "version: 1\n" * 200


@pytest.mark.parametrize("url", ["mysql://u:c4nary@h/d", "oracle://c4nary@h", "c4nary://x", "sqlite+x:///a"])
def test_open_store_when_the_database_is_of_another_kind_then_names_those_it_takes(url: str) -> None:
    error = refused("store-address", lambda: open_store(url))
    assert "SQLite" in str(error)
    assert "c4nary@" not in str(error)


# --- SQLite --------------------------------------------------------------------------------------


def test_sqlite_when_connected_then_commits_survive_a_power_cut(tmp_path: Path) -> None:
    database = connect(str(tmp_path / "store.db"))
    for open_transaction in (database.read, database.write, database.read):
        with open_transaction() as connection:
            asked = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "fullfsync", "foreign_keys")
            }
        assert asked == {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "foreign_keys": 1}
    database.engine.dispose()


def test_sqlite_when_a_result_is_recorded_then_it_is_on_the_disk_before_record_returns(
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace"
    code = (
        "import os, sys; from scenecheck.store import open_store; from tests.test_store import SPEC, result\n"
        "run = open_store(sys.argv[1]).begin(SPEC)\n"
        "for n in range(3):\n"
        "    os.write(1, b'begin\\n'); run.record([result(f'f{n}')]); os.write(1, b'done\\n')"
    )
    strace = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    command = [sys.executable, "-c", code, str(tmp_path / "store.db")]
    try:
        subprocess.run([*strace, *command], cwd=ROOT, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    calls = trace.read_text().splitlines()
    marks = [i for i, line in enumerate(calls) if '"begin' in line or '"done' in line]
    assert len(marks) == 6
    for begin, done in zip(marks[::2], marks[1::2], strict=True):
        assert any("sync(" in line and "store.db-wal" in line for line in calls[begin:done])


def test_sqlite_when_the_disk_is_full_then_says_so_and_nothing_recorded_is_lost(tmp_path: Path) -> None:
    """The kernel refuses the write: a limit on the size of files stands for the end of the disk."""
    path = tmp_path / "store.db"
    code = (
        "import sys; from scenecheck.store import open_store; from tests.test_store import SPEC, result\n"
        "from scenecheck.errors import StoreError\n"
        "run, n = open_store(sys.argv[1]).begin(SPEC), 0\n"
        "try:\n"
        "    while True:\n"
        "        run.record([result(f'f{n}', reason='x' * 9000)]); n += 1\n"
        "except StoreError as e:\n"
        "    print(n, e.code, e.exit_code, e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    n, code_, exit_code, message = done.stdout.split(maxsplit=3)
    assert int(n) > 20
    assert (code_, exit_code) == ("store-failed", "3")
    assert message.startswith(str(path))
    with open_store(str(path)) as store:
        assert store.run().n_results == int(n)
        with store.resume(SPEC) as run:
            run.record([result("last")])


def test_sqlite_when_the_database_is_full_then_its_code_says_so(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    with open_store(path) as store, store.begin(SPEC) as run:
        with store._database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        run.record([result("a")])
        with pytest.raises(StoreError) as caught:
            run.record([result("b", reason="x" * 100_000)])
        assert caught.value.code == "store-full"
        assert run.pending(["a", "b"]) == ["b"]


def test_sqlite_when_it_may_not_be_written_then_refuses(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_store(str(path)) as store, store.begin(SPEC) as run:
        run.record([result("a")])
    code = (
        "import sys; from scenecheck.errors import UsageError; from scenecheck.store import open_store\n"
        "import os; open_store(':memory:').close()\n"
        "os.geteuid() or os.setresuid(65534, 65534, 65534)\n"
        "try: open_store(sys.argv[1])\n"
        "except UsageError as e: print(e.code, e)"
    )
    # Root may write anywhere, so it becomes nobody (once all is imported); pytest's own folders
    # are closed to that one.
    parents = [p for p in path.parents if p.stat().st_uid == os.getuid() and p != Path("/")]
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in parents}
    try:
        for parent in parents:
            parent.chmod(0o555 if parent == path.parent else modes[parent] | 0o111)
        path.chmod(0o444)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
        path.chmod(0o644)
    assert done.stdout.startswith(f"store-unusable {path}: ")
    assert "readonly" in done.stdout or "unable to open" in done.stdout
    with open_store(str(path)) as store:
        assert store.run().n_results == 1


# --- secrets -------------------------------------------------------------------------------------


def everything_said(
    call: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> tuple[ScenecheckError, str]:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ScenecheckError) as caught:
        call()
    said = [str(caught.value), repr(caught.value), caught.value.try_, caplog.text]
    return caught.value, "\n".join([*said, *traceback.format_exception_only(caught.value)])


def test_postgresql_when_a_password_is_in_the_address_then_nothing_shows_it(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenecheck.store.engine.CONNECT_S", 2)
    canary = "c4nary-Passw0rd"
    good = postgres.url(password=canary)
    with open_store(postgres.fresh()) as store:
        shown = store.name + repr(store._database.engine) + repr(store._database)
    assert postgres.password not in shown
    assert "c4nary" not in shown
    assert f"127.0.0.1:{postgres.port}/postgres" in store.name
    for url, code in (
        (good, "store-unusable"),
        (good.replace(f":{postgres.port}", ":1"), "store-unusable"),
        (good.replace("127.0.0.1", "no-such-host.invalid"), "store-unusable"),
        (good.replace("/postgres", "/missing"), "store-unusable"),
        (good.replace(canary, f"{canary}@x"), "store-address"),
        (good.replace(canary, f"{canary}/@x"), "store-address"),
        (good.replace(f":{postgres.port}", f":{canary}"), "store-address"),
        (f"postgresql+psycopg://127.0.0.1:{postgres.port}/x?user=u&password={canary}", "store-unusable"),
    ):
        error, said = everything_said(lambda url=url: open_store(url), caplog)  # type: ignore[misc]
        assert isinstance(error, UsageError)
        assert error.code == code, said
        assert canary not in said
        assert "SELECT" not in str(error)


def test_postgresql_when_the_address_names_no_driver_then_ours_is_taken(postgres: PostgresServer) -> None:
    url = postgres.fresh().replace("postgresql+psycopg", "postgresql")
    with open_store(url) as store:
        assert store.runs() == []


def test_postgresql_when_the_password_comes_from_the_environment_then_the_address_needs_none(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    url = f"postgresql+psycopg://{postgres.user}@127.0.0.1:{postgres.port}/postgres"
    with open_store(f"{url}?options=-csearch_path%3D{postgres.fresh().rpartition('%3D')[2]}") as store:
        assert store.runs() == []


def test_postgresql_when_the_driver_is_missing_then_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from scenecheck.errors import UsageError; from scenecheck.store import open_store\n"
        "try: open_store('postgresql+psycopg://u:c4nary@127.0.0.1/d')\n"
        "except UsageError as e: print(e.code, e, e.try_)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("store-unusable ")
    assert "scenecheck[postgres]" in done.stdout
    assert "c4nary" not in done.stdout
