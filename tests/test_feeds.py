"""Inventories: every mistake at once with its line, one meaning in YAML and CSV, secrets only by name."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from scenecheck.duration import seconds
from scenecheck.errors import UsageError
from scenecheck.feeds import (
    Feed,
    InventoryError,
    Problem,
    Secret,
    load,
    problem_lines,
    unresolved,
)
from scenecheck.feeds.tree import MAX_BYTES, MAX_DEPTH
from scenecheck.redact import Address

FULL = """\
version: 1
defaults: {transport: udp, deadline: 20s, publish: {mask: blur}, tags: [north]}
feeds:
  - id: smg-kuningan-03
    name: Simpang Kuningan
    url: rtsp://10.1.2.3:554/stream1
    user: viewer
    password: {env: KUNINGAN_PASSWORD}
    tags: [semarang-utara, junction]
    expect: street
    publish: {hls: out/kuningan, rtsp: "rtsp://127.0.0.1:8554/kuningan", snapshot: out/kuningan.jpg, mask: card}
  - id: lobby
    url: rtsps://10.1.2.4/lobby
    password: {file: secrets/lobby}
    expect: indoor
    transport: tcp
    deadline: 1m
    frames: 9
    tls_ca: ca.pem
    allow_hosts: [cdn.example, 10.1.2.5]
    publish: {hls: out/lobby, audio: true}
  - id: film
    url: ../films/junction.mp4
    tags:
"""


def write(folder: Path, text: str, name: str = "feeds.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def mistakes(folder: Path, text: str, name: str = "feeds.yaml") -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        load(write(folder, text, name))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value.problems


def feeds_of(*lines: str) -> str:
    """An inventory of one feed `a` with these further lines."""
    body = "".join(f"    {line}\n" for line in lines)
    return f"version: 1\nfeeds:\n  - id: a\n{body}"


def test_inventory_means_what_it_says(tmp_path: Path) -> None:
    inventory = load(write(tmp_path, FULL))
    first, lobby, film = inventory.feeds
    assert (inventory.path, inventory.warnings) == (tmp_path / "feeds.yaml", ())
    assert first.source == Address("rtsp", "10.1.2.3", 554, "/stream1", user="viewer")
    assert (first.id, first.name, first.line) == ("smg-kuningan-03", "Simpang Kuningan", 4)
    assert first.secret == Secret(env="KUNINGAN_PASSWORD")
    assert first.tags == ("semarang-utara", "junction")
    assert first.publish is not None
    assert first.publish.hls == tmp_path / "out" / "kuningan"
    assert first.publish.rtsp == Address("rtsp", "127.0.0.1", 8554, "/kuningan")
    assert first.publish.snapshot == tmp_path / "out" / "kuningan.jpg"
    assert (first.publish.mask, first.publish.audio) == ("card", False)
    assert (first.transport, first.deadline_s, first.frames) == ("udp", 20.0, 5)
    assert lobby.secret == Secret(file=tmp_path / "secrets" / "lobby")
    assert lobby.publish is not None
    assert (lobby.publish.mask, lobby.publish.audio) == ("blur", True)
    assert (lobby.expect, lobby.tags, lobby.line) == ("indoor", ("north",), 12)
    options = lobby.options()
    assert (options.transport, options.deadline_s, options.frames) == ("tcp", 60.0, 9)
    assert (options.tls_ca, options.allow_hosts) == (tmp_path / "ca.pem", {"cdn.example", "10.1.2.5"})
    assert film.source == tmp_path.parent / "films" / "junction.mp4"
    assert (film.tags, film.publish, film.password()) == ((), None, None)
    assert pickle.loads(pickle.dumps(inventory)) == inventory


def test_sample_inventory_is_valid_and_complete(samples_dir: Path) -> None:
    inventory = load(samples_dir / "feeds.yaml")
    assert (len(inventory.feeds), inventory.warnings, list(unresolved(inventory))) == (4, (), [])
    assert inventory.feeds[0].source == samples_dir / "junction-1.mp4"


def lineless(feed: Feed) -> tuple[object, ...]:
    return tuple(getattr(feed, name) for name in Feed.__slots__ if name != "line")


def test_password_is_read_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, lobby, _ = load(write(tmp_path, FULL)).feeds
    monkeypatch.delenv("KUNINGAN_PASSWORD", raising=False)
    for feed, place in ((first, "KUNINGAN_PASSWORD"), (lobby, str(tmp_path / "secrets" / "lobby"))):
        with pytest.raises(UsageError, match=r"not set|cannot be read") as caught:
            feed.target()
        assert place in str(caught.value)
    monkeypatch.setenv("KUNINGAN_PASSWORD", "p@ss/1")
    (tmp_path / "secrets").mkdir()
    write(tmp_path / "secrets", "two words\nsecond line\n", "lobby")
    target = first.target()
    assert isinstance(target, Address)
    assert (target.user, target.password) == ("viewer", "p@ss/1")
    assert lobby.password() == "two words"
    monkeypatch.setenv("KUNINGAN_PASSWORD", "changed")
    assert first.password() == "changed"
    assert "changed" not in repr(first) + repr(target)


def test_credentials_in_a_query_stand_where_the_address_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = feeds_of(
        "url: http://10.0.0.5/snap.cgi?usr={user}&pwd={password}&x=1", "user: a b", "password: {env: CAM}"
    )
    monkeypatch.setenv("CAM", "p&ss=1")
    (feed,) = load(write(tmp_path, text)).feeds
    target = feed.target()
    assert isinstance(target, Address)
    assert target.query == "usr=a%20b&pwd=p%26ss%3D1&x=1"
    assert "p&ss" not in str(target) + repr(target)
    assert "p%26ss" not in str(target) + repr(target)


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
version: 1
defaults: {transport: tpc, publish: {hls: x}}
extra: 1
feeds:
  - id: Ä b
    url: rtps://10.1.2.3/
  - id: a
    url: rtsp://10.1.2.3/x
    transprot: udp
    frames: 100
    frames: 3
    publish: {hls: out/a, maks: card}
  - id: a
    url: rtsp://10.1.2.3/x y
    publish: {mask: card}
    deadline: 15 minutes
  - name: nameless
  - words
  - id: d
    url: 10.0.0.1.jpg
    insecure: maybe
    tls_ca: ca.pem
    tags: [a b]
    expect: Strasse
    publish: {snapshot: out/d.png}
"""
    problems = mistakes(tmp_path, text)
    found = {(p.line, p.feed, p.field) for p in problems}
    assert found == {
        (2, "", "defaults.transport"),
        (2, "", "defaults.publish.hls"),
        (3, "", "extra"),
        (5, "Ä b", "id"),
        (6, "Ä b", "url"),
        (9, "a", "transprot"),
        (11, "", ""),
        (12, "a", "publish.maks"),
        (13, "a", "id"),
        (14, "a", "url"),
        (15, "a", "publish"),
        (16, "a", "deadline"),
        (17, "#4", "id"),
        (17, "#4", "url"),
        (18, "#5", ""),
        (21, "d", "insecure"),
        (23, "d", "tags"),
        (24, "d", "expect"),
        (25, "d", "publish.snapshot"),
    }
    said = {(p.line, p.field): f"{p.got}; {p.allowed}" for p in problems}
    assert "did you mean transport?" in said[9, "transprot"]
    assert "did you mean mask?" in said[12, "publish.maks"]
    assert "did you mean rtsps://?" in said[6, "url"]
    assert said[24, "expect"] == "'Strasse'; allowed: street or indoor"
    assert "line 7" in said[13, "id"]
    assert [p.line for p in problems] == sorted(p.line for p in problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "feeds: got an empty file"),
        ("# only a comment\n", "feeds: got an empty file"),
        ("version: 1\n", "feeds: got nothing"),
        ("version: 1\nfeeds: []\n", "2: feeds: got nothing"),
        ("version: 1\nfeeds:\n", "2: feeds: got nothing"),
        ("version: 1\nfeeds: {a: {url: x}}\n", "feeds: got a mapping"),
        ("- id: a\n", "got a list; allowed: a mapping of version, defaults, feeds"),
        ("feeds:\n  - {id: a, url: x}\n", "version: got nothing; needed: version: 1"),
        ("version: 2\nfeeds: []\n", "1: version: got '2'; allowed: 1"),
        ("version: 1\ndefaults: all\nfeeds: [{id: a, url: x}]\n", "2: defaults: got 'all'"),
        ("version: 1\nfeeds: [{id: a, url: x}, {id: a, url: y}]\n", "feed a: id: got an id given before"),
        (
            feeds_of("url: rtsp://h/x", "tls_ca: c", "insecure: yes"),
            "6: feed a: insecure: got insecure beside",
        ),
        (feeds_of("url: http://h/x?pwd={password}"), "feed a: url: got {password} in the query; needed"),
        (
            feeds_of("url: http://h/x?p={password}", "password: {env: A}"),
            "feed a: url: got {password} in the query; allowed: only under",
        ),
        (feeds_of("url: x", "password: {env: A, file: b}"), "feed a: password: got something else"),
        (feeds_of("url: x", "password: {}"), "feed a: password: got something else"),
        (feeds_of("url: x", "password: {env: 1A}"), "feed a: password: got something else"),
        (feeds_of('url: "a\\0b"'), "feed a: url: got a text (not shown)"),
        (feeds_of("url: rtsp://h/a", "publish: {rtsp: rtsp://H:554/a/}"), "got the feed's own url"),
        (feeds_of("url: rtsp://h/a", "publish: {rtsp: http://h/a}"), "publish.rtsp: got http://"),
        (feeds_of("url: 10.0.0.1:554/a"), "url: got an address without its scheme"),
        (feeds_of("url: //10.0.0.1/a"), "url: got an address without its scheme"),
        (feeds_of("url: rtsp://h/a", "frames: 1.5"), "frames: got '1.5'"),
        (feeds_of("url: rtsp://h/a", "deadline: 0"), "deadline: got '0'"),
        (feeds_of("url: rtsp://h/a", "user: [x]"), "user: got a list"),
        (feeds_of("url: rtsp://h/a", "id: !tag b"), "got a YAML tag"),
        ("version: 1\nx: &a [1]\nfeeds: [*a]\n", "3: got a YAML alias"),
    ],
)
def test_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    lines = [f"{p.line}: {p}" for p in mistakes(tmp_path, text)]
    assert any(said in line for line in lines), lines


def test_two_feeds_that_publish_to_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    text = """\
version: 1
feeds:
  - {id: a, url: rtsp://h/a, publish: {hls: real/x, rtsp: "rtsp://s/p"}}
  - {id: b, url: rtsp://h/b, publish: {hls: ./link/../link/x}}
  - {id: c, url: rtsp://h/c, publish: {rtsp: "rtsp://S:554/p/"}}
  - {id: d, url: rtsp://h/d, publish: {snapshot: real/x.jpg, hls: real/y}}
  - {id: e, url: rtsp://h/e, publish: {snapshot: real/X.jpg}}
"""
    problems = mistakes(tmp_path, text)
    assert [(p.line, p.feed, p.field) for p in problems] == [
        (4, "b", "publish.hls"),
        (5, "c", "publish.rtsp"),
    ]
    assert "feed a (line 3)" in problems[0].got


def test_ten_thousand_equal_ids_give_few_lines_and_their_number(tmp_path: Path) -> None:
    path = write(tmp_path, "id,url\n" + "a,rtsp://10.0.0.1/x\n" * 10_000, "feeds.csv")
    with pytest.raises(InventoryError) as caught:
        load(path)
    assert len(caught.value.problems) == 9_999
    lines = list(problem_lines(path, caught.value.problems))
    assert len(lines) == 21
    assert lines[0].startswith(f"{path}:3: feed a: id: ")
    assert lines[-1] == f"{path}: 9,979 more mistakes like these"


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"version: 1\nfeeds:\n  - id: \xff\n", 3, "not UTF-8"),
        ("version: 1".encode("utf-16"), 1, "not UTF-8"),
        (b"version: 1\n\x00", 2, "not valid YAML: special characters are not allowed"),
        (b"version: 1\nfeeds: [\n", None, "not valid YAML"),
        (b"version: 1\n---\nversion: 1\n", 2, "a second document"),
        (b"version: 1\n? [a]\n: b\n", 2, "cannot be a field's name"),
        (b"version: 1\nfeeds: *x\n", 2, "without an anchor"),
        (b"version: &a [*a]\n", 1, "without an anchor"),
        (b"version: " + b"[" * 5_000, 1, f"nested deeper than {MAX_DEPTH}"),
    ],
)
def test_file_that_is_no_yaml_is_one_line(tmp_path: Path, data: bytes, line: int | None, said: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load(path)
    where = f"{path}:{line}: " if line else f"{path}:"
    assert str(caught.value).startswith(where)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_that_multiply_are_refused_before_they_do(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "version: 1\nl0: &l0 [x, x]\n" + "\n".join(levels) + "\nfeeds: *l11\n"
    problems = mistakes(tmp_path, text)
    assert [p.line for p in problems] == [3]


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    fifo, huge = tmp_path / "fifo.yaml", tmp_path / "huge.yaml"
    os.mkfifo(fifo)
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for path, said in (
        (tmp_path, "not a file"),
        (fifo, "not a file"),
        (tmp_path / "absent.yaml", "No such file"),
        (tmp_path / "n\0ul.yaml", "cannot be opened"),
        (huge, "larger than 32 MiB"),
    ):
        with pytest.raises(UsageError, match=said):
            load(path)


def test_table_means_the_same_as_yaml(tmp_path: Path) -> None:
    header = (
        "ID, url ,user,password.env,password.file,tags,expect,publish.hls,publish.mask,transport,frames,name"
    )
    rows = [
        'a,rtsp://10.0.0.1/x,viewer,A,,"north;east west",street,out/a,blur,udp,3,"two\nlines, quoted"',
        "",
        "b,film.mp4,,,,,indoor,,,,,",
        'c,rtsp://10.0.0.3/x,,,secrets/c,,,,,,,"tail"',
    ]
    text = "\ufeff" + "\r\n".join([header, *rows]) + "\r\n"
    a, b, c = load(write(tmp_path, text, "feeds.csv")).feeds
    yaml = """\
version: 1
feeds:
  - {id: a, name: "two lines, quoted", url: rtsp://10.0.0.1/x, user: viewer, password: {env: A},
     tags: [north, east, west], publish: {hls: out/a, mask: blur}, transport: udp, frames: 3}
  - {id: b, url: film.mp4, expect: indoor}
  - {id: c, name: tail, url: rtsp://10.0.0.3/x, password: {file: secrets/c}}
"""
    assert [lineless(f) for f in (a, b, c)] == [lineless(f) for f in load(write(tmp_path, yaml)).feeds]
    assert [f.line for f in (a, b, c)] == [2, 5, 6]


def test_semicolons_of_a_spreadsheet_are_understood(tmp_path: Path) -> None:
    (feed,) = load(write(tmp_path, "id;url;tags\na;rtsp://h/x;north east\n", "feeds.csv")).feeds
    assert (feed.id, feed.tags) == ("a", ("north", "east"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "feeds.csv:1: the first row must name the columns"),
        ("id,url\n", "feeds.csv:1: feeds: got nothing"),
        ("id,url\n\n,\n", "feeds.csv:1: feeds: got nothing"),
        ("id,adress\na,b\n", "feeds.csv:1: the first row must name the columns"),
        ("id,url,id\na,b,c\n", "feeds.csv:1: the column 'id' is given twice"),
        ("id,url,publish,publish.hls\na,b,c,d\n", "feeds.csv:1: the column 'publish' is given twice"),
        ("id,url\na,b,c\n", "feeds.csv:2: more than 2 cells"),
        ('id,url\na,b\nc,"d\ne\n', "feeds.csv:3: not a valid CSV row"),
        ('id,url\na,"b"c\n', "feeds.csv:2: not a valid CSV row"),
        (
            "id,url,transprot\n\na,b,udp\n",
            "feeds.csv:3: feed a: transprot: got an unknown field; did you mean",
        ),
        ('id,url,name,frames\na,b,"x\ny",1\nc,d,,many\n', "feeds.csv:4: feed c: frames: got 'many'"),
        (",".join(["id", "url", *map(str, range(200))]) + "\n", "feeds.csv:1: more than 100 columns"),
    ],
)
def test_mistake_in_a_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text, "feeds.csv")
    with pytest.raises(UsageError) as caught:
        load(path)
    error = caught.value
    lines = list(problem_lines(path, error.problems)) if isinstance(error, InventoryError) else [str(error)]
    assert any(said in line for line in lines), lines


def test_what_this_machine_lacks_is_told_apart_from_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUNINGAN_PASSWORD", raising=False)
    missing = list(unresolved(load(write(tmp_path, FULL))))
    assert [(p.line, p.feed, p.field) for p in missing] == [
        (4, "smg-kuningan-03", "password"),
        (12, "lobby", "password"),
        (12, "lobby", "tls_ca"),
        (22, "film", "url"),
    ]
    assert missing[0].allowed == "not set"


@pytest.mark.parametrize(
    ("text", "expected"), [("15", 15.0), ("1.5", 1.5), ("15s", 15.0), ("2m", 120.0), (" 3600 S ", 3600.0)]
)
def test_duration_is_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1h", "61m", "15 minutes", "1_0", "1e3", "٣"])
def test_duration_outside_of_an_hour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds"):
        seconds(text)
