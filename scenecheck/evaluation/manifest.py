"""The labelled pictures: ``path,label,group`` and any further columns, every mistake found at once."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from scenecheck.errors import UsageError
from scenecheck.types import Label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

REQUIRED = ("path", "label", "group")
LABELS = {Label.STREET.value: Label.STREET, Label.INDOOR.value: Label.INDOOR}

MAX_BYTES = 256 << 20
"""A row has some 150 bytes; more than a million pictures is another file under this name."""

MAX_SLICE_VALUES = 64
"""A column with more values names its pictures rather than slicing them."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: ``path`` as written, ``file`` where it lies, ``slices`` the names of the slices it is in.

    ``line`` is where its row starts in the manifest; a row may span several when a cell is quoted.
    """

    line: int
    path: str
    file: Path
    label: Label
    group: str
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a manifest, in its order. ``unsliced`` names columns with too many values to slice by."""

    path: Path
    examples: tuple[Example, ...]
    unsliced: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """SHA-256 over the sorted paths, labels and groups: two evaluations of equal hash can be compared."""
        rows = sorted((e.path, e.label.value, e.group) for e in self.examples)
        return hashlib.sha256("\n".join("\t".join(row) for row in rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: line of the manifest, column, and what is wrong with it."""

    line: int
    column: str
    what: str


class ManifestError(UsageError):
    """A manifest, or pictures it names, are wrong; ``problems`` holds every mistake found."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path, self.problems = path, tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__("bad-manifest", f"{path}:{first.line} {first.column}: {first.what}{more}")

    def __reduce__(self) -> tuple[type, tuple[Path, tuple[Problem, ...]]]:  # type: ignore[override]
        return type(self), (self.path, self.problems)

    @property
    def lines(self) -> list[str]:
        """A line for each mistake: file, line, column, what."""
        return [f"{self.path}:{p.line} {p.column}: {p.what}" for p in self.problems]


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises ManifestError with every mistake: missing columns, no rows, unknown labels, empty cells, duplicate
    paths, files that do not exist, a label without a single row.
    """
    header, rows, problems = _parsed(path)
    examples, seen = [], dict[str, int]()
    sliced, unsliced = _slice_columns(header, rows)
    for row in rows:
        problems += _mistakes(path, row, seen)
        if row.cells["label"] in LABELS:
            examples.append(_example(path, row, sliced))
    if rows and not problems:
        problems += [
            Problem(1, "label", f"no row is labelled {name}; both labels are needed")
            for name, label in LABELS.items()
            if all(e.label is not label for e in examples)
        ]
    if problems:
        raise ManifestError(path, sorted(problems, key=lambda p: p.line))
    return Manifest(path, tuple(examples), unsliced)


def _parsed(path: Path) -> tuple[list[str], list[_Row], list[Problem]]:
    """Header, rows of the right width, and what is wrong with the others; raises ManifestError if no CSV."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    rows, problems, line = [], [], 1
    try:
        header = [name.strip() for name in next(reader, [])]
        problems = list(_header_mistakes(header))
        if problems:
            raise ManifestError(path, problems)
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                rows.append(_Row(line, dict(zip(header, (c.strip() for c in cells), strict=True))))
            elif cells:
                what = f"expected {len(header)} cells, got {len(cells)}"
                problems.append(Problem(line, header[min(len(cells), len(header) - 1)], what))
            line = reader.line_num + 1
    except csv.Error as e:
        raise ManifestError(path, [*problems, Problem(line, "path", f"no CSV: {e}")]) from None
    if not rows and not problems:
        problems = [Problem(1, "path", "the manifest has 0 rows")]
    return header, rows, problems


def _text(path: Path) -> str:
    try:
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
    except OSError as e:
        raise UsageError("no-such-manifest", f"{path}: {e.strerror or 'cannot be read'}") from None
    if len(data) > MAX_BYTES:
        raise UsageError("no-such-manifest", f"{path}: more than {MAX_BYTES} bytes: no manifest")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ManifestError(path, [Problem(line, "path", "no UTF-8 text")]) from None


def _header_mistakes(header: Sequence[str]) -> Iterator[Problem]:
    for name in REQUIRED:
        if name not in header:
            yield Problem(1, name, f"this column is missing; there are: {', '.join(header) or 'none'}")
    for name in sorted({n for n in header if header.count(n) > 1}):
        yield Problem(1, name, "this column is there twice")


def _mistakes(manifest: Path, row: _Row, seen: dict[str, int]) -> Iterator[Problem]:
    """What is wrong with a row; ``seen`` holds the line of every file named so far."""
    for name in REQUIRED:
        if not row.cells[name]:
            yield Problem(row.line, name, "empty")
        elif not row.cells[name].isprintable():  # it would break the lines of every report
            yield Problem(row.line, name, f"a character that cannot be shown: {row.cells[name]!r}")
            return
    label, path = row.cells["label"], row.cells["path"]
    if label and label not in LABELS:
        yield Problem(row.line, "label", f"expected {' or '.join(LABELS)}, got {label!r}")
    if not path:
        return
    first = seen.setdefault(os.path.normpath(path), row.line)
    if first != row.line:
        yield Problem(row.line, "path", f"{path} stands in line {first} already")
        return
    try:
        is_there = (manifest.parent / path).is_file()
    except (OSError, ValueError):  # longer than a name may be
        is_there = False
    if not is_there:
        yield Problem(row.line, "path", f"no such file: {path}")


def _slice_columns(header: Sequence[str], rows: Sequence[_Row]) -> tuple[list[str], tuple[str, ...]]:
    """Columns to slice by, and those whose values are too many or no names."""
    columns = [name for name in header if name.isprintable() and name and name not in REQUIRED]
    limit = min(MAX_SLICE_VALUES, len(rows) // 2)
    values = {n: {row.cells[n] for row in rows} for n in columns if n != "flags"}
    many = [n for n, v in values.items() if len(v) > limit or not all(map(str.isprintable, v))]
    return [n for n in columns if n not in many], tuple(many)


def _example(manifest: Path, row: _Row, columns: Sequence[str]) -> Example:
    slices = [f"{name}={row.cells[name]}" for name in columns if name != "flags" and row.cells[name]]
    slices += sorted({flag for flag in row.cells.get("flags", "").split() if flag.isprintable()})
    path = row.cells["path"]
    label = LABELS[row.cells["label"]]
    return Example(row.line, path, manifest.parent / path, label, row.cells["group"], tuple(slices))
