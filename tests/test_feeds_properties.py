"""What holds for any inventory: YAML and CSV say the same, and no password is ever in a text."""

from __future__ import annotations

import logging
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scenecheck.errors import UsageError
from scenecheck.feeds import Inventory, InventoryError, load, problem_lines, unresolved
from scenecheck.feeds.write import entry_of, to_csv, to_yaml
from scenecheck.importers import in_files, in_variables, read
from scenecheck.redact import Address
from scenecheck.schemas import FeedReport
from tests.test_feeds import feeds_of, lineless, write

# Round trips ----------------------------------------------------------------------------------------------


words = st.text("abcxyz019._-äé東", min_size=1, max_size=8).filter(lambda w: w.strip() == w)
names = st.text(max_size=30).map(lambda t: " ".join(t.split())).filter(str.isprintable)
segments = st.text(string.ascii_letters + string.digits + "._~!$&'()*+,;=:@%äé東 ", min_size=1, max_size=12)
places = st.lists(segments, min_size=1, max_size=3).map("/".join).filter(lambda p: p.strip() == p)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
hosts = st.sampled_from(["10.0.0.1", "camera.example", "[fd00::7]"])
addresses = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["rtsp", "rtsps", "http", "https"]),
    hosts,
    st.sampled_from(["", ":554", ":8554"]),
    st.text(string.ascii_letters + string.digits + "/._-~%+,", max_size=20),
    st.sampled_from(["", "?channel=1&subtype=0", "?x=%20&pwd={password}", "?token=abc"]),
)
durations = st.one_of(
    st.floats(0.01, 3600.0).map(lambda x: f"{x:.6f}"),
    st.integers(1, 60).map("{}m".format),
    st.integers(1, 3600).map("{}s".format),
)


def entries(number: int) -> st.SearchStrategy[dict[str, object]]:
    """An entry with the id ``f{number}``; its places are its own."""
    publish = st.fixed_dictionaries(
        {"hls": places.map(lambda p: f"out/{number}/h/{p}")},
        optional={
            "rtsp": st.just(f"rtsp://127.0.0.1:8554/p{number}"),
            "snapshot": places.map(lambda p: f"out/{number}/s/{p}.jpg"),
            "mask": st.sampled_from(["card", "pixelate", "blur"]),
            "audio": st.booleans(),
        },
    )
    return st.fixed_dictionaries(
        {
            "id": st.just(f"f{number}"),
            "url": st.one_of(addresses, places.map(lambda p: f"./{p}")),
            "password": st.one_of(
                variables.map(lambda v: {"env": v}), places.map(lambda p: {"file": f"secrets/{p}"})
            ),
        },
        optional={
            "name": names,
            "user": names,
            "tags": st.lists(words, max_size=3),
            "expect": st.sampled_from(["street", "indoor"]),
            "publish": publish,
            "transport": st.sampled_from(["tcp", "udp"]),
            "deadline": durations,
            "frames": st.integers(1, 60),
            "insecure": st.booleans(),
            "allow_hosts": st.lists(st.sampled_from(["a.example", "10.0.0.9"]), max_size=2),
        },
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 4).flatmap(lambda n: st.tuples(*[entries(i) for i in range(n)])))
def test_yaml_and_csv_say_the_same_back_and_forth(
    tmp_path_factory: pytest.TempPathFactory, given_entries: tuple[dict[str, object], ...]
) -> None:
    folder = tmp_path_factory.mktemp("round", numbered=True)

    def again(text: str, name: str) -> Inventory:
        return load(write(folder, text, name))

    first = again(to_yaml(given_entries), "a.yaml")
    table = again(to_csv([entry_of(f, folder) for f in first.feeds]), "b.csv")
    last = again(to_yaml([entry_of(f, folder) for f in table.feeds]), "c.yaml")
    assert [lineless(f) for f in first.feeds] == [lineless(f) for f in table.feeds]
    assert [lineless(f) for f in first.feeds] == [lineless(f) for f in last.feeds]
    elsewhere = write(folder.parent, to_yaml([entry_of(f) for f in first.feeds]), "d.yaml")
    assert [lineless(f) for f in load(elsewhere).feeds] == [lineless(f) for f in first.feeds]


# Secrets --------------------------------------------------------------------------------------------------

MARKS = ("Zq7", "Kv5", "xW9")
printable = st.text(string.digits + string.ascii_letters + string.punctuation + " ", max_size=12)
passwords = st.builds(lambda a, b: f"Zq7{a}!Kv5{b}xW9", printable, printable)
ALL_PRINTABLE = f"Zq7{string.punctuation}Kv5{string.ascii_letters}{string.digits} xW9"

HIDING_PLACES = [
    feeds_of("url: rtsp://10.0.0.1/x", "password: {raw}"),
    feeds_of("url: rtsp://10.0.0.1/x", "password: {quoted}"),
    feeds_of("url: rtsp://10.0.0.1/x", "password: {{{raw}}}"),
    feeds_of("url: rtsp://10.0.0.1/x", "password: {{env: {quoted}}}"),
    feeds_of("url: rtsp://10.0.0.1/x", "password: [{quoted}]"),
    feeds_of("url: rtsp://10.0.0.1/x", "password:", "  {quoted}: x"),
    feeds_of("url: rtsp://10.0.0.1/x", "passwort: {quoted}"),
    feeds_of("url: rtsp://10.0.0.1/x", "passwort: {raw}"),
    feeds_of("url: rtsp://10.0.0.1/x", "user: {quoted}"),
    feeds_of("url: rtsp://10.0.0.1/x", "user: [{quoted}]"),
    feeds_of("url: u:{percent}@10.0.0.1/x"),
    feeds_of("url: 7:{percent}@10.0.0.1/x"),
    feeds_of("url: //u:{percent}@10.0.0.1/x"),
    feeds_of("url: {url}"),
    feeds_of("url: {url}", "frames: many"),
    feeds_of("url: {url}", "password: {{env: CANARY_PLACE}}"),
    feeds_of("url: [{url}]"),
    feeds_of("url: rtsp://u:{percent}@10.0.0.1/x"),
    feeds_of("url: http://10.0.0.1/x?user=u&pwd={percent}"),
    feeds_of("url: rtsp://10.0.0.1/x", "publish: {{rtsp: {url}}}"),
    feeds_of("url: rtsp://10.0.0.1/x", "publish: {{rtsp: {url}, mask: red}}"),
    "version: 1\ndefaults: {{password: {quoted}, user: {quoted}}}\nfeeds: [{{id: a, url: rtsp://h/x}}]\n",
    "version: 1\ndefaults:\n  password: {raw}\nfeeds: [{{id: a, url: rtsp://h/x}}]\n",
]


def texts_about(path: Path) -> str:
    """Everything that may be shown or logged about a file."""
    try:
        inventory = load(path)
    except InventoryError as e:
        return "\n".join([str(e), repr(e), *problem_lines(path, e.problems)])
    except UsageError as e:
        return f"{e} {e!r} {e.try_}"
    shown = [repr(inventory), *problem_lines(path, inventory.warnings)]
    shown += problem_lines(path, unresolved(inventory))
    shown += [FeedReport.of(f).model_dump_json(by_alias=True) for f in inventory.feeds]
    shown += [str(f.source) for f in inventory.feeds]
    return "\n".join(shown)


def hidden(template: str, password: str) -> str:
    percent = quote(password, safe="")
    return template.format(
        raw=password,
        quoted="'" + password.replace("'", "''") + "'",
        percent=percent,
        url="'rtsp://u:" + password.replace("'", "''") + "@10.0.0.1/x'",
    )


@pytest.mark.parametrize("template", HIDING_PLACES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(password=ALL_PRINTABLE)
@given(password=passwords)
def test_password_is_in_no_text_wherever_it_was_put(
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    template: str,
    password: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = write(tmp_path_factory.getbasetemp(), hidden(template, password), "canary.yaml")
    texts = texts_about(path) + caplog.text
    assert [mark for mark in MARKS if mark in texts] == []


@settings(max_examples=60, deadline=None)
@example(password=ALL_PRINTABLE)
@given(password=passwords)
def test_imported_password_moves_to_its_place_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, password: str
) -> None:
    folder = tmp_path_factory.mktemp("import", numbered=True)
    percent = quote(password, safe="")
    config = f"""\
streams:
  a: rtsp://u:{percent}@10.0.0.1/x
  b: ["http://10.0.0.2/x?user=u&password={percent}"]
  c: rtmp://u:{percent}@10.0.0.3/x
"""
    made = read(write(folder, config, "go2rtc.yaml"), folder=folder)
    texts = [repr(made), to_yaml(in_variables(made.found)[0]), to_csv(in_variables(made.found)[0])]
    entries, variables = in_files(made.found, folder / "secrets", beside=folder, force=False)
    texts.append(to_yaml(entries))
    assert [mark for mark in MARKS if mark in "".join(texts)] == []
    assert (variables, len(made.skipped)) == ({}, 1)
    a, b = load(write(folder, to_yaml(entries))).feeds
    assert (a.password(), b.password()) == (password, password)
    target = b.target()
    assert isinstance(target, Address)
    assert target.query == f"user=u&password={percent}"
    assert [p.stat().st_mode & 0o777 for p in (folder / "secrets").iterdir()] == [0o600, 0o600]
