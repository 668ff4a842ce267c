"""`scenecheck feeds` as a person and a script meet it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from scenecheck.feeds import load
from scenecheck.schemas import SCHEMA_FOLDER
from tests.test_feeds import FULL, write

COMMAND = [sys.executable, "-m", "scenecheck", "feeds"]
CANARY = "s3cret-canary"
CONFIG = (
    f"paths:\n  a: {{source: 'rtsp://u:{CANARY}@10.0.0.1/x'}}\n  b: {{source: 'rtmp://u:{CANARY}@h/x'}}\n"
)


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stdout + done.stderr
    return done


def test_import_writes_an_inventory_and_names_variables_not_passwords(tmp_path: Path) -> None:
    config = write(tmp_path, CONFIG, "mediamtx.yml")
    done = run("import", config)
    assert done.returncode == 0
    assert done.stdout == (
        "version: 1\nfeeds:\n  - id: a\n    url: rtsp://10.0.0.1/x\n    user: u\n    password: {env: A_PASSWORD}\n"
    )
    assert done.stderr.splitlines() == [
        f"{config}:3: skipped: b: rtmp:// is not spoken here; give the camera's rtsp:// or http:// address",
        "scenecheck: 1 feed from MediaMTX, 1 skipped",
        "scenecheck: the passwords are not in the inventory; set these variables:",
        "  A_PASSWORD  (feed a)",
    ]


def test_import_into_files_keeps_what_is_there_unless_forced(tmp_path: Path) -> None:
    config, out = write(tmp_path, CONFIG, "mediamtx.yml"), tmp_path / "feeds.csv"
    arguments = ("import", config, "-o", out, "--secrets-dir", tmp_path / "secrets")
    assert run(*arguments).returncode == 0
    (feed,) = load(out).feeds
    assert (feed.password(), feed.secret) == (CANARY, feed.secret)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["feeds.csv", "mediamtx.yml", "secrets"]
    out.write_text("mine")
    done = run(*arguments)
    assert (done.returncode, out.read_text()) == (2, "mine")
    assert done.stderr.startswith(f"scenecheck: bad-option: {out}: is there already")
    assert run(*arguments, "--force").returncode == 0
    assert load(out).feeds[0].id == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: 1\n", "not recognised"),
        ("paths: {a: }\n", "nothing could be imported"),
        ("paths: [\n", "not valid YAML"),
    ],
)
def test_import_of_nothing_is_an_error_and_writes_nothing(tmp_path: Path, text: str, said: str) -> None:
    config = write(tmp_path, text, "c.yml")
    done = run("import", config, "-o", tmp_path / "feeds.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["c.yml"]


def test_validate_counts_feeds_and_warns_of_what_is_missing_here(tmp_path: Path) -> None:
    path = write(tmp_path, FULL + f"  - {{id: old, url: 'rtsp://u:{CANARY}@h/x'}}\n")
    done = run("validate", path, env={**os.environ, "KUNINGAN_PASSWORD": CANARY})
    assert (done.returncode, done.stdout) == (0, f"{path}: 4 feeds, 4 warnings\n")
    assert f"{path}:25: feed old: url: got a password in the address" in done.stderr
    assert len(done.stderr.splitlines()) == 4


def test_validate_prints_every_mistake_and_exits_2(tmp_path: Path) -> None:
    text = f"version: 1\nfeeds:\n  - id: A\n    url: rtps://u:{CANARY}@h/x\n    password: {CANARY}\n    farmes: 3\n"
    path = write(tmp_path, text)
    done = run("validate", path)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[2] for line in lines[:-1]] == ["id", "url", "password", "farmes"]
    assert lines[-1].startswith(f"scenecheck: inventory: {path}: 4 mistakes (try: ")


def test_list_as_json_keeps_to_the_published_schema(tmp_path: Path) -> None:
    path = write(tmp_path, FULL + f"  - {{id: old, url: 'http://h/x?user=u&pwd={CANARY}'}}\n")
    done = run("list", "--json", path)
    assert done.returncode == 0
    schema = json.loads((SCHEMA_FOLDER / "feeds-1.json").read_text())
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    for report in reports:
        jsonschema.validate(report, schema)
    assert [r["id"] for r in reports] == ["smg-kuningan-03", "lobby", "film", "old"]
    assert [r["password"] for r in reports] == [
        "env KUNINGAN_PASSWORD",
        f"file {tmp_path / 'secrets' / 'lobby'}",
        None,
        None,
    ]
    assert reports[3]["source"] == "http://h/x?user=***&pwd=***"
    plain = run("list", path).stdout.splitlines()
    assert [line.split("\t")[:3] for line in plain] == [[r["id"], r["expect"], r["source"]] for r in reports]


def test_list_on_a_terminal_is_a_table(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    parent, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "list", str(path)], stdout=child, env={**os.environ, "COLUMNS": "200"}
    ) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end was closed
                break
            if not piece:
                break
            shown += piece
        assert process.wait(timeout=30) == 0
    os.close(parent)
    text = shown.decode()
    assert "published at" in text.splitlines()[0]
    assert "Simpang Kuningan" in text
    assert "viewer" not in text
