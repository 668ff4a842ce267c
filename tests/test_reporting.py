"""The files of a report: nothing left out, nothing injected, nothing finer than a mosaic, nobody's file touched."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck import errors
from scenecheck.errors import UsageError
from scenecheck.records import FindingKind
from scenecheck.reporting import FILES, write_reports
from scenecheck.reporting.causes import CAUSES
from scenecheck.reporting.overview import URGENCY, overview, plain
from scenecheck.reporting.page import MAX_CARDS, html
from scenecheck.reporting.sentences import ADVICE, CONDITIONS, TITLES
from scenecheck.reporting.tables import COLUMNS, csv_table, json_lines, junit
from scenecheck.reporting.words import WORDS
from scenecheck.schemas import SCHEMA_FOLDER
from scenecheck.store import Store
from scenecheck.types import Condition, Label
from tests.audits import n_stored, pictures, run, write_inventory
from tests.reports import EVIL, MORNING, city, doubtful, indoor, silent, small, stored, street, view
from tests.test_evaluation_report import Tags

GOLDEN = Path(__file__).parent / "golden" / "report"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three feeds on two mornings."""
    with stored(tmp_path / "city.db", *small()) as opened:
        yield opened


@pytest.mark.parametrize("name", [*FILES])
def test_small_report_is_the_golden_one(store: Store, name: str) -> None:
    """Of the pages the words; UPDATE_GOLDEN=1 writes them anew."""
    _, make = FILES[name]
    text = make(overview(store, 2))
    if name.endswith(".html"):
        text = (
            "\n".join(words for w in Tags(text).words if (words := " ".join(w.split())) and "{" not in w)
            + "\n"
        )
        text = re.sub(r"scenecheck \d+\.\d+\.\d+", "scenecheck VERSION", text)
    path = GOLDEN / (name.replace(".html", ".txt"))
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8")


# --- nothing injected ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "id"])
def test_page_holds_one_script_under_its_own_hash_and_no_address(store: Store, language: str) -> None:
    page = html(overview(store, 2), language=language)  # type: ignore[arg-type]
    tags = Tags(page)
    names = [name for name, _ in tags.found]
    assert names.count("script") == 1
    assert not {"iframe", "object", "link", "form", "base"} & set(names)
    for _, attributes in tags.found:
        assert not any(name.startswith("on") for name in attributes)
        assert str(attributes.get("src", "data:image/png;base64,")).startswith("data:image/png;base64,")
        assert attributes.get("href", "#feeds") in {"#feeds", "audit.html", "audit.id.html"}
    assert not re.search(r"url\(|@import|https?://", page)
    policy = next(str(a["content"]) for n, a in tags.found if n == "meta" and a.get("http-equiv"))
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-[\w+/=]{44}'; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )


HOSTILE = (
    EVIL,
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r\n=1",
    "＝1",
    'a","=1',
    "</script>",
    "a\x85b",
)


def test_hostile_names_are_text_in_every_file(tmp_path: Path) -> None:
    feeds = [indoor(f"f-{i}", name=n, address=n, tags=(n,)) for i, n in enumerate(HOSTILE)]
    with stored(tmp_path / "city.db", feeds) as opened:
        files = {name: make(overview(opened, 1)) for name, (_, make) in FILES.items()}
    for name, text in files.items():
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), name
    assert [n for n, _ in Tags(files["audit.html"]).found].count("script") == 1
    rows = list(csv.DictReader(io.StringIO(files["audit.csv"], newline="")))
    assert len(rows) == len(HOSTILE)
    assert all(set(row) == set(COLUMNS) for row in rows)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r＝＋－＠"))]
    assert rows[1]["name"] == "'=cmd|' /C calc'!A0"
    assert [json.loads(line)["feed"] for line in files["audit.jsonl"].splitlines()] == [
        r["feed"] for r in rows
    ]
    assert {case.find("system-out").text for case in ET.fromstring(files["audit.xml"]).iter("testcase")} == {  # type: ignore[union-attr]
        plain(n) for n in HOSTILE
    }


@given(st.text(max_size=30))
def test_plain_text_stays_on_its_line_and_is_xml(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    assert len(shown.splitlines()) <= 1
    node = ET.Element("a")
    node.text = shown
    assert ET.fromstring(ET.tostring(node)).text == (shown or None)


# --- nothing left out ----------------------------------------------------------------------------


def test_every_feed_stands_in_every_file(tmp_path: Path) -> None:
    with stored(tmp_path / "city.db", *city(200, mornings=3)) as opened:
        found = overview(opened, 3)
    feeds = {f"smg-{i:05}" for i in range(200)}
    assert {r["feed"] for r in csv.DictReader(io.StringIO(csv_table(found)))} == feeds
    assert {case.get("name") for case in ET.fromstring(junit(found)).iter("testcase")} == feeds
    schema = json.loads((SCHEMA_FOLDER / "feed-1.json").read_text())
    lines = [json.loads(line) for line in json_lines(found).splitlines()]
    for line in lines:
        jsonschema.validate(line, schema)
    assert {line["feed"] for line in lines} == feeds
    for language in WORDS:
        page = html(found, language=language)
        rows = re.findall(r'<tr data-state="\w+" data-kinds="[^"]*"><th scope="row"><bdi>([^<]+)</bdi>', page)
        assert set(rows) == feeds
        assert len(rows) == 200
        assert page.count('<ul class="pictures">') >= 5
        for cards in re.findall(r'<ul class="pictures">(.*?)</ul>', page, re.DOTALL):
            assert 1 <= cards.count("<li>") <= MAX_CARDS


def test_what_to_do_first_goes_by_urgency_and_names_each_feed_once(tmp_path: Path) -> None:
    both = doubtful("b-both", {Condition.DARK: 5})
    mornings = [
        [indoor("a-room"), indoor("b-both"), street("c-new"), indoor("d-back"), silent("e-dead")],
        [indoor("a-room"), both, indoor("c-new"), street("d-back"), silent("e-dead")],
    ]
    with stored(tmp_path / "city.db", *mornings) as opened:
        found = overview(opened, 2)
    assert [r.feed for r in found.results] == ["c-new", "a-room", "b-both", "e-dead", "d-back"]
    text = Tags(html(found, language="en")).text
    order = [text.index(f"{TITLES['en'][k]} : 1") for k in (FindingKind.NEWLY_INDOOR, FindingKind.RECOVERED)]
    assert order == sorted(order)
    assert "still indoor : 2" in text
    assert "Showed an interior, and nothing has proven a street since." in text
    assert "Take it off the air now" in text


def test_history_ends_with_the_run_and_tells_who_accepted(tmp_path: Path) -> None:
    with stored(tmp_path / "city.db", *[[street("a")], [silent("a")], [street("a")]]) as opened:
        opened.accept("a", who="<b>budi", why="back on its mast", view=view())
        at_last, before = overview(opened, 3), overview(opened, 2)
    assert [r.run for r in at_last.trails["a"]] == [1, 2, 3]
    assert [r.run for r in before.trails["a"]] == [1, 2]
    page = html(at_last, language="en")
    assert 'aria-label="1 × street, 1 × unreachable, 1 × street"' in page
    assert f"Accepted on {MORNING:%Y-%m-%d %H:%M} by &lt;b&gt;budi: back on its mast" in page


def test_junit_fails_on_the_wrong_view_errs_without_a_picture_and_skips_what_is_not_proven(
    tmp_path: Path,
) -> None:
    feeds = [
        street("fine"),
        street("room", expect=Label.INDOOR, label=Label.INDOOR),
        indoor("rehung"),
        street("unexpected", expect=Label.INDOOR),
        silent("dead"),
        doubtful("dark", {Condition.DARK: 5}),
        doubtful("frozen", {Condition.FROZEN: 5}),
        doubtful("unproven", {}),
    ]
    with stored(tmp_path / "city.db", feeds) as opened:
        tree = ET.fromstring(junit(overview(opened, 1)))
    outcomes = {c.get("name"): [e.tag for e in c] for c in tree.iter("testcase")}
    assert outcomes == {
        "fine": [],
        "room": [],
        "rehung": ["failure"],
        "unexpected": ["failure"],
        "dead": ["error"],
        "dark": ["skipped"],
        "frozen": ["skipped"],
        "unproven": ["skipped"],
    }
    assert {k: tree.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "2",
        "errors": "1",
        "skipped": "3",
    }


def test_of_an_unfinished_run_the_page_says_so(tmp_path: Path) -> None:
    with stored(tmp_path / "city.db", [street("a")]) as opened:
        found = overview(opened, 1)
    assert WORDS["en"]["unfinished"] not in html(found, language="en")
    unfinished = replace(found, run=replace(found.run, finished_at=None))
    assert WORDS["en"]["unfinished"] in html(unfinished, language="en")


# --- never more than a mosaic --------------------------------------------------------------------


def test_pictures_are_mosaics_of_16x9_and_the_fine_ones_are_left_out(store: Store) -> None:
    page = html(overview(store, 2), language="en")
    pictures = re.findall(r"data:image/png;base64,([\w+/=]+)", page)
    assert len(pictures) == 4  # cells and heat of the room, as a card and in the table; no street
    for data in pictures:
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_UNCHANGED)
        assert decoded is not None
        assert decoded.shape[:2] == (9, 16)
    room = next(r for r in store.table(2) if r.feed == "b-rehung")
    assert room.mosaic is not None
    cells = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), cv2.IMREAD_COLOR)
    assert cells is not None
    assert cells[:, :, ::-1].tobytes() == room.mosaic.cells


# --- both languages are whole --------------------------------------------------------------------


def test_both_languages_have_every_word() -> None:
    assert set(URGENCY) == set(FindingKind)
    assert WORDS["en"].keys() == WORDS["id"].keys()
    for texts in (TITLES, ADVICE):
        assert set(texts["en"]) == set(texts["id"]) == set(FindingKind)
    assert set(CONDITIONS["en"]) == set(CONDITIONS["id"]) == set(Condition)
    for key, text in WORDS["en"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", WORDS["id"][key])), key
    for family in (errors.UnreachableError, errors.RefusedError, errors.StreamError, errors.ContentError):
        assert family.advice.keys() <= CAUSES.keys()


def test_indonesian_page_has_no_english_sentence(tmp_path: Path) -> None:
    with stored(tmp_path / "city.db", *city(60)) as opened:
        text = Tags(re.sub(r'<bdi lang="en">.*?</bdi>', "", html(overview(opened, 1), language="id"))).text
    text = re.sub(r'"use strict".*', "", text)
    assert not re.search(
        r"\b(the|shows?|frames?|picture|check|and|camera|since|view)\b", text.replace("scenecheck", "")
    )


# --- the directory -------------------------------------------------------------------------------


def test_a_directory_with_other_files_keeps_them_and_an_old_report_is_replaced(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "report"
    write_reports(store, 1, folder)
    (folder / "notes.txt").write_text("mine")
    before = (folder / "audit.html").read_text()
    assert write_reports(store, 2, folder) == [folder / name for name in FILES]
    assert {p.name for p in folder.iterdir()} == {*FILES, "notes.txt"}
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "audit.html").read_text() != before
    assert (folder / "audit.html").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", [*FILES])
def test_a_file_of_somebody_else_under_our_name_stays_and_nothing_is_written(
    store: Store, tmp_path: Path, name: str
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / name).write_text("<!doctype html>a wedding page")
    with pytest.raises(UsageError, match="is no report of scenecheck"):
        write_reports(store, 2, tmp_path / "r")
    assert [p.name for p in (tmp_path / "r").iterdir()] == [name]
    assert (tmp_path / "r" / name).read_text() == "<!doctype html>a wedding page"


def test_command_writes_a_run_again_and_says_in_one_line_what_cannot_be(tmp_path: Path) -> None:
    with stored(tmp_path / "city.db", *small()):
        pass
    done = run("report", "1", "--db", tmp_path / "city.db", "-o", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "r" / name) for name in FILES]
    table = (tmp_path / "r" / "audit.csv").read_text()
    assert "indoor" not in [row["verdict"] for row in csv.DictReader(io.StringIO(table))]
    (tmp_path / "file").write_text("")
    for arguments, said in (
        (("7",), "holds no run 7"),
        (("0",), "0 is not in the range"),
        (("-o", tmp_path / "file"), "is a file"),
        (("-o", tmp_path / "file" / "r"), "Not a directory"),
    ):
        wrong = run("report", *arguments, "--db", tmp_path / "city.db")
        assert wrong.returncode == 2, wrong.stderr
        assert said in wrong.stderr
        assert wrong.stderr.count("\n") == 1


def test_audit_writes_its_report_and_refuses_a_place_for_it_before_it_judges(tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path, [*pictures(1), "{id: gone, url: ./gone.jpg}"])
    (tmp_path / "file").write_text("")
    wrong = run("audit", inventory, "--db", tmp_path / "city.db", "--report", tmp_path / "file")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "is a file" in wrong.stderr
    assert n_stored(tmp_path / "city.db") == 0
    done = run("audit", inventory, "--db", tmp_path / "city.db", "--report", tmp_path / "r", "--threads", "1")
    assert done.returncode in {1, 3}, done.stderr
    assert {p.name for p in (tmp_path / "r").iterdir()} == {*FILES}
    rows = csv.DictReader(io.StringIO((tmp_path / "r" / "audit.csv").read_text()))
    assert {row["feed"] for row in rows} == {"picture-000", "gone"}
