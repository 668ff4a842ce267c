"""Manifests as people write them: every mistake at once, with line and column."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from scenecheck.errors import UsageError
from scenecheck.evaluation.manifest import ManifestError, read_manifest
from scenecheck.types import Label

GOOD = "path,label,group\na.jpg,street,one\nb.jpg,indoor,two\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def mistakes(folder: Path, text: str | bytes) -> list[tuple[int, str, str]]:
    path = folder / "manifest.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.exit_code == 2
    assert caught.value.lines[0].startswith(f"{path}:")
    return [(p.line, p.column, p.what) for p in caught.value.problems]


@pytest.mark.parametrize("text", [GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), GOOD + "\n\n"])
def test_manifest_when_right_then_gives_its_rows(folder: Path, text: str) -> None:
    path = folder / "manifest.csv"
    path.write_text(text, newline="")
    examples = read_manifest(path).examples
    assert [(e.line, e.path, e.label, e.group) for e in examples] == [
        (2, "a.jpg", Label.STREET, "one"),
        (3, "b.jpg", Label.INDOOR, "two"),
    ]
    assert [e.file for e in examples] == [folder / "a.jpg", folder / "b.jpg"]


def test_manifest_when_much_is_wrong_then_names_all_of_it(folder: Path) -> None:
    text = (
        "path,label,group,flags\n"
        "a.jpg,street,one,day\n"
        "b.jpg,inside,two,day\n"
        "a.jpg,indoor,one,\n"
        "./a.jpg,indoor,one,\n"
        "gone.jpg,indoor,,\n"
        ",indoor,two,\n"
        "c.jpg,indoor\n"
        '"d.jpg",indoor,"two\nlines",night,extra\n'
        "d\0.jpg,indoor,two,\n"
        f"{'x' * 300},indoor,two,\n"
        "d.jpg,indoor,two\x1b[2J,\n"
    )
    assert mistakes(folder, text) == [
        (3, "label", "expected street or indoor, got 'inside'"),
        (4, "path", "a.jpg stands in line 2 already"),
        (5, "path", "./a.jpg stands in line 2 already"),
        (6, "group", "empty"),
        (6, "path", "no such file: gone.jpg"),
        (7, "path", "empty"),
        (8, "group", "expected 4 cells, got 2"),
        (9, "flags", "expected 4 cells, got 5"),
        (11, "path", "a character that cannot be shown: 'd\\x00.jpg'"),
        (12, "path", f"no such file: {'x' * 300}"),
        (13, "group", "a character that cannot be shown: 'two\\x1b[2J'"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (1, "path", "this column is missing; there are: none")),
        ("path,group\na.jpg,x\n", (1, "label", "this column is missing; there are: path, group")),
        ("path,label,group,label\n", (1, "label", "this column is there twice")),
        ("path,label,group\n", (1, "path", "the manifest has 0 rows")),
        ("path,label,group\n\n\n", (1, "path", "the manifest has 0 rows")),
        (
            "path,label,group\na.jpg,street,x\n",
            (1, "label", "no row is labelled indoor; both labels are needed"),
        ),
        (
            "path,label,group\na.jpg,indoor,x\n",
            (1, "label", "no row is labelled street; both labels are needed"),
        ),
        ('path,label,group\na.jpg,street,"x\n', (2, "path", "no CSV: unexpected end of data")),
        (b"path,label,group\na.jpg,street,x\n\xff.jpg,indoor,y\n", (3, "path", "no UTF-8 text")),
    ],
)
def test_manifest_when_it_cannot_be_used_then_says_where_and_why(
    folder: Path, text: str | bytes, expected: tuple[int, str, str]
) -> None:
    assert expected in mistakes(folder, text)


def test_manifest_when_a_path_is_a_folder_then_it_is_no_file(folder: Path) -> None:
    (folder / "stills").mkdir()
    text = GOOD + "stills,street,three\n"
    assert mistakes(folder, text) == [(4, "path", "no such file: stills")]


def test_manifest_when_it_is_not_there_then_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError, match=str(path)) as caught:
            read_manifest(path)
        assert caught.value.code == "no-such-manifest"


def test_slices_when_columns_are_there_then_flags_are_split_and_names_left_out(folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_text(
        "path,label,group,flags,kind,note\n"
        "a.jpg,street,one,rain night rain,road,w\n"
        "b.jpg,indoor,two,,room,x\n"
        "c.jpg,indoor,two,night,room,y\n"
        "d.jpg,indoor,two,night,,z\n"
    )
    manifest = read_manifest(path)
    assert [e.slices for e in manifest.examples] == [
        ("night", "rain"),
        (),
        ("night",),
        ("night",),
    ]
    assert manifest.unsliced == ("kind", "note")  # three and four values in four rows
    path.write_text(path.read_text().replace(",,z", ",road,z"))
    manifest = read_manifest(path)
    assert [e.slices[0] for e in manifest.examples] == ["kind=road", "kind=room", "kind=room", "kind=road"]
    assert manifest.unsliced == ("note",)


def test_manifest_hash_when_rows_change_places_then_is_the_same_and_else_not(folder: Path) -> None:
    def digest(text: str) -> str:
        path = folder / "manifest.csv"
        path.write_text(text)
        return read_manifest(path).sha256

    rows = GOOD.splitlines()
    assert digest("\n".join([rows[0], rows[2], rows[1]])) == digest(GOOD)
    assert digest(GOOD.replace("one", "three")) != digest(GOOD)
    assert digest(GOOD + "c.jpg,indoor,two\n") != digest(GOOD)


def test_manifest_error_when_it_crosses_processes_then_keeps_every_mistake(folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_text("path,label,group\nx.jpg,y,\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.lines == caught.value.lines
    assert len(again.lines) == 3
    assert str(again) == str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_manifest_when_it_may_not_be_read_then_is_a_usage_error(folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(UsageError, match="Permission denied"):
        read_manifest(path)
