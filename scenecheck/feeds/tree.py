"""Text to a tree of strings that remember their lines, the same from YAML and from CSV.

Every scalar stays the text that stands in the file: ``007`` is an id and ``yes`` may be a name. What a
text means is decided where its field is known. A tree is bounded in size and depth before it is built.
"""

from __future__ import annotations

import csv
import io
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from scenecheck.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 32 * 2**20
"""100,000 feeds of ten lines each; what is larger is not an inventory."""

MAX_NODES = 4_000_000
MAX_DEPTH = 32
"""Deeper than any configuration of the programs we read."""

MAX_COLUMNS = 100

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TEXT_TAG = "tag:yaml.org,2002:str"
_QUOTED = re.compile(r"\s*(but found|but got)?\s*('[^']*'|\"[^\"]*\"|'.*|\".*)")


@dataclass(slots=True, eq=False)
class Node:
    """A text, nothing (None), a list or a mapping, and the line (from 1) where it stands."""

    value: str | list[Node] | dict[str, Node] | None
    line: int


@dataclass(slots=True)
class Tree:
    """A parsed file; ``oddities`` are (line, what) that the tree cannot show: keys given twice, tags.

    ``uses_aliases`` is the line of the first YAML alias, which a tree of an inventory must not hold:
    shared nodes are small here and grow without bound when they are written out.
    """

    root: Node
    oddities: list[tuple[int, str]] = field(default_factory=list)
    uses_aliases: int | None = None


class MalformedError(UsageError):
    """The file is not what its name promises. The message has the line, and nothing of the text."""

    advice: ClassVar[dict[str, str]] = {
        "malformed": "correct the file; texts with any of : # { } [ ] , & * ! | > ' \" % @ ` need quotes"
    }


def malformed(path: Path, line: int | None, what: str) -> MalformedError:
    return MalformedError("malformed", f"{path}{'' if line is None else f':{line}'}: {what}")


def read_text(path: Path) -> str:
    """The text of a regular file of at most MAX_BYTES in UTF-8. Raises UsageError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError("no-such-path", f"{path}: not a file", "give the path of a YAML or CSV file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else "cannot be opened"
        raise UsageError(
            "no-such-path", f"{path}: {reason}", "check the spelling and the permissions"
        ) from None
    if len(data) > MAX_BYTES:
        raise malformed(path, None, f"larger than {MAX_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise malformed(path, line, "not UTF-8: save the file as UTF-8 text") from None


def parse(path: Path) -> Tree:
    """The tree of a file: CSV by its suffix, else YAML (JSON is YAML). Raises UsageError."""
    text = read_text(path)
    return parse_csv(path, text) if path.suffix.lower() == ".csv" else parse_yaml(path, text)


def parse_yaml(path: Path, text: str) -> Tree:
    """The tree of one YAML document. ``path`` is for messages only. Raises MalformedError."""
    builder = _Builder(path)
    # Pure: the C parser is another reading of YAML, and may or may not be installed.
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        for event in events:
            builder.add(event)
    except YAMLError as e:
        mark = getattr(e, "problem_mark", None) or getattr(e, "context_mark", None)
        position = getattr(e, "position", None)
        line = mark.line + 1 if mark is not None else None
        if line is None and isinstance(position, int):
            line = text.count("\n", 0, position) + 1
        said = str(getattr(e, "problem", None) or getattr(e, "reason", None) or "")
        # Without the pieces of the file that it quotes: they may be pieces of a password.
        said = _QUOTED.sub("", said).strip(" ,")
        raise malformed(path, line, f"not valid YAML{f': {said}' if said else ''}") from None
    return builder.tree


class _Builder:
    """Builds a tree from parser events without recursion, whatever the depth of the text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = Tree(Node(None, 1))
        self._n_documents = 0
        self._open: list[Node] = []
        self._keys: list[tuple[str, int] | None] = []
        self._anchors: dict[str, Node] = {}
        self._n_nodes = 0

    def add(self, event: Any) -> None:
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            line = event.start_mark.line + 1
            if len(self._open) >= MAX_DEPTH:
                raise malformed(self.path, line, f"nested deeper than {MAX_DEPTH} levels")
            self._check_tag(event, line)
            node = Node({} if isinstance(event, MappingStartEvent) else [], line)
            self._attach(node, line)
            self._open.append(node)
            self._keys.append(None)
            if event.anchor:
                self._anchors[event.anchor] = node
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, AliasEvent):
            self._aliased(event)
        elif isinstance(event, DocumentStartEvent):
            self._n_documents += 1
            if self._n_documents > 1:
                raise malformed(self.path, event.start_mark.line + 1, "a second document: expected one")

    def _scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        text: str | None = event.value
        known = event.ctag is None or self._check_tag(event, line)
        plain = event.style is None and event.ctag is None
        if self._open and self._keys[-1] is None and isinstance(self._open[-1].value, dict):
            self._key(text or "", line)
            return
        node = Node(None if not known or (plain and text in _NULLS) else text, line)
        self._attach(node, line)
        if event.anchor:
            self._anchors[event.anchor] = node

    def _key(self, key: str, line: int) -> None:
        mapping = self._open[-1].value
        assert isinstance(mapping, dict)
        if key in mapping:
            self.tree.oddities.append(
                (line, f"{key[:40] if key.isprintable() else '?'!r} twice in one place")
            )
        self._keys[-1] = (key, line)

    def _attach(self, node: Node, line: int) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise malformed(self.path, line, f"more than {MAX_NODES:,} values")
        if not self._open:
            self.tree.root = node
            return
        parent, key = self._open[-1].value, self._keys[-1]
        if isinstance(parent, list):
            parent.append(node)
        elif isinstance(parent, dict):
            if key is None:
                raise malformed(self.path, line, "a list or mapping cannot be a field's name")
            parent[key[0]] = node
            if not isinstance(node.value, (list, dict)):
                node.line = key[1]  # a text may begin below its name, and nothing begins nowhere
            self._keys[-1] = None

    def _aliased(self, event: Any) -> None:
        line = event.start_mark.line + 1
        node = self._anchors.get(event.anchor)
        if node is None or node in self._open:
            raise malformed(self.path, line, "an alias (*name) without an anchor (&name) before it")
        if self.tree.uses_aliases is None:
            self.tree.uses_aliases = line
        if self._keys[-1] is None and isinstance(self._open[-1].value, dict):
            raise malformed(self.path, line, "an alias cannot be a field's name")
        # A copy of the outer shell: its line is where the alias stands.
        self._attach(Node(node.value, line), line)

    def _check_tag(self, event: Any, line: int) -> bool:
        if event.ctag is None or str(event.ctag) == _TEXT_TAG:
            return True
        self.tree.oddities.append((line, "a YAML tag (!…)"))
        return False


def parse_csv(path: Path, text: str) -> Tree:
    """The tree of a table: ``feeds`` with a mapping for each row, dotted columns as mappings in it.

    The separator is the comma, or the semicolon where the header holds no comma (spreadsheets of many
    countries write that). Empty cells are absent. Raises MalformedError.
    """
    header, separator = text.split("\n", 1)[0], ","
    if ";" in header and "," not in header:
        separator = ";"
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    feeds: list[Node] = []
    tree = Tree(Node({"version": Node("1", 1), "feeds": Node(feeds, 1)}, 1))
    columns: list[str] = []
    n_nodes, line = 0, 1
    try:
        for cells in rows:
            if not columns:
                columns = _columns(path, cells)
            elif any(cell.strip() for cell in cells):
                feeds.append(_row(path, columns, cells, line))
                n_nodes += len(cells)
                if n_nodes > MAX_NODES:
                    raise malformed(path, line, f"more than {MAX_NODES:,} values")
            line = rows.line_num + 1
    except csv.Error as e:
        raise malformed(path, line, f"not a valid CSV row: {e}") from None
    if not columns:
        _columns(path, [])
    return tree


def _columns(path: Path, cells: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    if len(columns) > MAX_COLUMNS:
        raise malformed(path, 1, f"more than {MAX_COLUMNS} columns")
    groups = {c.partition(".")[0] for c in columns if "." in c}
    twice = [c for c in columns if c and (columns.count(c) > 1 or c in groups)]
    if twice:
        raise malformed(path, 1, f"the column {twice[0][:40]!r} is given twice")
    if not {"id", "url"} <= set(columns):
        raise malformed(path, 1, "the first row must name the columns, `id` and `url` among them")
    return columns


def _row(path: Path, columns: list[str], cells: list[str], line: int) -> Node:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise malformed(path, line, f"more than {len(columns)} cells: a text with a separator needs quotes")
    values: dict[str, Node] = {}
    for column, cell in zip(columns, cells, strict=False):
        if not cell.strip():
            continue
        name, dot, inner = column.partition(".")
        if dot:
            group = values.setdefault(name, Node({}, line)).value
            assert isinstance(group, dict)
            group[inner] = Node(cell.strip(), line)
        else:
            values[column] = Node(cell.strip(), line)
    return Node(values, line)
